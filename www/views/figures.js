/** The figures of the store, as stats() gives them: rows, bytes and costs. */
import { button, element } from "../dom.js";
import { askToDestroy } from "../dialogs.js";
import { duration, number, size } from "../words.js";

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
  async function compact() {
    const before = await database.stats();
    const began = performance.now();
    await database.compact();
    const took = duration(performance.now() - began);
    const after = await database.stats();
    const freed = before.blockBytes + before.logBytes - after.blockBytes - after.logBytes;
    list.replaceChildren(...drawFigures(after, before));
    const words = freed > 0 ? `${size(freed)} were given back` : "there was nothing to give back";
    page.say(`Compacted in ${took}: ${words}. Each figure that changed shows what it was before.`);
  }
  const destroy = () => page.attempt(() => askToDestroy(() => page.destroy()));
  const clear = button("Delete the store", destroy, { class: "danger" });
  const refresh = button("Refresh", () => page.attempt(reload));
  const pack = button("Compact", () => page.attempt(compact), { id: "compact" });
  const buttons = element("div", { class: "buttons" }, clear, refresh, pack);
  return { element: element("div", {}, element("p", { class: "summary" }, about), list, buttons), reload };
}

/** Draws the figures. Below a figure that has changed stands its value from before. */
function drawFigures(stats, before = stats) {
  return FIGURES.filter(([name]) => stats[name] !== undefined).map(([name, title, words, note]) => {
    const [is, was] = [words(stats[name]), words(before[name])];
    const change = is === was ? undefined : element("small", { class: "before" }, `before: ${was}`);
    const figure = { class: "figure", "data-figure": name };
    return element("div", figure, element("dt", {}, title), element("dd", {}, is, change, element("small", {}, note)));
  });
}
