/** The data sets, and how far an import has come. */
import { dataSets } from "../data.js";
import { button, element, link } from "../dom.js";
import { counted, duration, number, size } from "../words.js";

export async function importView(page, { database, collections }) {
  const cards = dataSets.map((dataSet) => card(page, database, dataSet));
  const text =
    `${database.name} is empty. Import a data set, clone the database, then change and delete rows in the clone: ` +
    `the origin stays as it is, and all of it is still there after a reload.`;
  const guide = collections.length > 0 ? undefined : element("p", { class: "guide" }, text);
  return { element: element("div", {}, guide, element("div", { class: "cards" }, cards)) };
}

function card(page, database, dataSet) {
  const { importer } = page;
  const bar = element("progress", { max: 1, value: 0, "aria-label": `Import of ${dataSet.title}` });
  const note = element("p", { class: "note" });
  const start = button(`Import into ${database.name}`, () => page.attempt(() => run()), { class: "primary" });
  const stop = button("Cancel", () => importer.cancel());
  const show = () => {
    const current = importer.current?.dataSet === dataSet ? importer.current : undefined;
    const isRunning = importer.isBusy && current !== undefined;
    const focused = document.activeElement;
    start.disabled = importer.isBusy;
    stop.hidden = !isRunning;
    // The focus stays on this card's button, whichever can be used.
    if (focused === start && isRunning) stop.focus();
    if (focused === stop && !isRunning) start.focus();
    bar.hidden = !isRunning;
    note.textContent = current === undefined ? "" : progress(current);
    if (isRunning && current.total > 0) bar.value = Math.min(1, current.done / current.total);
    else bar.removeAttribute("value");
  };
  async function run() {
    try {
      const result = await importer.run(dataSet, database);
      const next = result.phase === "done" ? " Clone it now: that takes a moment, whatever the size." : "";
      await page.wrote(progress(result) + next);
    } catch (error) {
      // What was written before it failed is there.
      await page.wrote(progress(importer.current));
      throw error;
    }
  }
  page.onLeave(importer.watch(show));
  show();
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
    note,
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
