/** What the store holds and costs, as stats() tells it. */
import { button, element } from "../dom.js";
import { askToDestroy } from "../dialogs.js";
import { number, size } from "../words.js";

const FIGURES = [
  ["rows", "Row versions", number, "in blocks and in memory, of all databases"],
  ["blocks", "Blocks", number, "sorted pieces that rows are packed in"],
  ["blockBytes", "In blocks", size, "packed, as they lie in storage"],
  ["liveBytes", "Needed", size, "by a database, a clone or the history"],
  ["reclaimableBytes", "To be freed", size, "at the next compaction"],
  ["logEntries", "Log records", number, "commits since the last checkpoint"],
  ["logBytes", "In the log", size, "until the next checkpoint packs it"],
  ["cacheHits", "Cache hits", number, "blocks that were in memory"],
  ["cacheMisses", "Cache misses", number, "blocks that were read from storage"],
  ["cachedBytes", "Cached", size, "blocks in memory, in this tab"],
  ["usage", "Used by this site", size, "as the browser estimates it"],
  ["quota", "Allowed", size, "by the browser"],
  ["persisted", "Persistent", (value) => (value ? "yes" : "no"), "whether the browser promised not to clear it"],
];

export async function figuresView(page, { database }) {
  const about = "Of the whole store: all databases in it share these blocks, this log and this cache.";
  const list = element("dl", { class: "figures" });
  const reload = async () => list.replaceChildren(...drawFigures(await database.stats()));
  await reload();
  const destroy = () => page.attempt(() => askToDestroy(() => page.destroy()));
  const clear = button("Delete the store", destroy, { class: "danger" });
  const refresh = button("Refresh", () => page.attempt(reload));
  const buttons = element("div", { class: "buttons" }, clear, refresh);
  return { element: element("div", {}, element("p", { class: "summary" }, about), list, buttons), reload };
}

function drawFigures(stats) {
  return FIGURES.filter(([name]) => stats[name] !== undefined).map(([name, title, words, note]) =>
    element(
      "div",
      { class: "figure", "data-figure": name },
      element("dt", {}, title),
      element("dd", {}, words(stats[name]), element("small", {}, note)),
    ),
  );
}
