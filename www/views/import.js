/** The data sets, and how far an import has come. */
import { dataSets } from "../data.js";
import { button, element, link } from "../dom.js";
import { counted, duration, number, size } from "../words.js";

export async function importView(page, { database }) {
  const cards = dataSets.map((dataSet) => card(page, database, dataSet));
  return element("div", { class: "cards" }, cards);
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
    start.disabled = importer.isBusy;
    stop.hidden = !isRunning;
    bar.hidden = !isRunning;
    note.textContent = current === undefined ? "" : progress(current);
    if (isRunning && current.total > 0) bar.value = Math.min(1, current.done / current.total);
    else bar.removeAttribute("value");
  };
  async function run() {
    const result = await importer.run(dataSet, database);
    page.say(progress(result));
    await page.refresh();
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
