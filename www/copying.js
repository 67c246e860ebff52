/** How far a clone's materialization has come, here, in another tab, or by and by in the background. */
import { materialize } from "./actions.js";
import { button, element } from "./dom.js";
import { partOf, progressWords, workBar } from "./task.js";

const EVERY = 400;

/** @returns { element, start }; it is seen while rows are copied, or when some are and others are not yet */
export function copyPanel(page, database, info) {
  const { name, origin } = info;
  const task = page.tasks.get(`materialize ${name}`);
  const watchers = new Set();
  let { status } = info;
  let isAsking = false;
  let isLeft = false;
  const begin = async () => {
    if (task.isBusy) return stop.focus();
    isAsking = true;
    await page.attempt(() => materialize(page, database, info, task));
    isAsking = false;
    return look();
  };
  const start = button("Go on", begin, { id: "copy-on" });
  const stop = button("Abort", () => task.cancel(), { id: "copy-abort" });
  const state = () => {
    const isBegun = status.state === "materializing";
    const progress = task.isBusy ? task.progress : isBegun ? status : undefined;
    panel.hidden = origin === undefined || !(task.isBusy || isBegun);
    start.hidden = task.isBusy;
    const part = partOf(progress);
    const rows = progress === undefined ? "" : progressWords(progress);
    const words = task.isBusy ? rows : `${rows} copied so far. ${task.outcome}`;
    return { isRunning: task.isBusy, isSeen: isBegun, part, words };
  };
  const tell = () => watchers.forEach((watcher) => watcher());
  const watch = (watcher) => {
    watchers.add(watcher);
    return () => watchers.delete(watcher);
  };
  /** Nobody tells this page how the background or another tab gets on with the clone, so it asks. */
  async function look() {
    if (isLeft || document.hidden || isAsking || task.isBusy || origin === undefined) return;
    const now = await database.status().catch(() => status);
    if (isLeft || JSON.stringify(now) === JSON.stringify(status)) return;
    status = now;
    if (now.state === "materialized") await page.wrote(`${name} is materialized. It stands alone now.`);
    else tell();
  }
  const label = `Materialization of ${name}`;
  const panel = element("section", { class: "card copying", "aria-label": label, hidden: true });
  const bar = workBar(page, { label, start, stop, watch, state });
  const buttons = element("div", { class: "buttons" }, start, stop);
  panel.append(element("h3", {}, "Materialization"), ...bar, buttons);
  page.onLeave(task.watch(tell));
  const timer = setInterval(look, EVERY);
  page.onLeave(() => {
    isLeft = true;
    clearInterval(timer);
  });
  return { element: panel, start: begin };
}
