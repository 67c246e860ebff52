/** The view of imports and exports: of files, and of the data sets. */
import { dataSets } from "../data.js";
import { button, element, link } from "../dom.js";
import { workBar } from "../task.js";
import { counted, duration, number, size } from "../words.js";
import { exportCard, importCard } from "./files.js";

export async function importView(page, given) {
  const { database, collections } = given;
  // Nothing comes into the past.
  if (page.isPast) return { element: element("div", { class: "cards" }, exportCard(page, given)) };
  const cards = dataSets.map((dataSet) => card(page, database, dataSet));
  const text =
    `${database.name} is empty. Import a data set, clone the database, then change and delete rows in the clone: ` +
    `the origin stays as it is, and all of it is still there after a reload.`;
  const guide = collections.length > 0 ? undefined : element("p", { class: "guide" }, text);
  const files = [exportCard(page, given), importCard(page, given)];
  return { element: element("div", {}, guide, element("div", { class: "cards" }, cards, files)) };
}

function card(page, database, dataSet) {
  const { importer } = page;
  const start = button(`Import into ${database.name}`, () => page.attempt(() => run()), { class: "primary" });
  const stop = button("Cancel", () => importer.cancel());
  const state = () => {
    const current = importer.current?.dataSet === dataSet ? importer.current : undefined;
    const part = current?.total > 0 ? current.done / current.total : undefined;
    const isRunning = importer.isBusy && current !== undefined;
    return { isRunning, isBlocked: importer.isBusy, part, words: current === undefined ? "" : progress(current) };
  };
  const watch = (watcher) => importer.watch(watcher);
  async function run() {
    try {
      const result = await importer.run(dataSet, database);
      const next = result.phase === "done" ? " Clone it now: that takes a moment, whatever the size." : "";
      await page.wrote(progress(result) + next);
    } catch (error) {
      // The rows that were written before the failure are there: show them.
      await page.wrote(progress(importer.current));
      throw error;
    }
  }
  const bar = workBar(page, { label: `Import of ${dataSet.title}`, start, stop, watch, state });
  const { source, licence } = dataSet;
  const credit = element(
    "p",
    { class: "credit" },
    link(source.url, source.name),
    ", ",
    link(licence.url, licence.name),
  );
  const buttons = element("div", { class: "buttons" }, start, stop);
  return element(
    "section",
    { class: "card", "aria-label": dataSet.title, "data-set": dataSet.name },
    element("h3", {}, dataSet.title),
    element("p", {}, dataSet.about),
    credit,
    bar,
    buttons,
  );
}

function progress({ phase, done, total, database, took, dataSet }) {
  if (phase === "download") return total > 0 ? `Fetching ${size(done)} of ${size(total)}` : `Fetching ${size(done)}`;
  const time = took === undefined ? "" : ` in ${duration(took)}`;
  if (phase === "write") return `${number(done)} of ${counted(total, "row")}`;
  if (phase === "done") return `${dataSet.title}: ${counted(done, "row")} imported into ${database}${time}.`;
  return `${dataSet.title}: ${phase}. What was written before stays.`;
}
