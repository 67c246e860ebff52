/** What the store holds and costs, as stats() tells it. */
import { button, element } from "../dom.js";
import { confirm } from "../dialogs.js";
import { number, size } from "../words.js";

const FIGURES = [
  ["rows", "Row versions", number, "in blocks and in memory, of all databases"],
  ["blocks", "Blocks", number, "sorted pieces that rows are packed in"],
  ["blockBytes", "In blocks", size, ""],
  ["liveBytes", "Needed", size, "by a database, a clone or the history"],
  ["reclaimableBytes", "To be freed", size, "at the next compaction"],
  ["logEntries", "Log records", number, "commits since the last checkpoint"],
  ["logBytes", "In the log", size, ""],
  ["cacheHits", "Cache hits", number, ""],
  ["cacheMisses", "Cache misses", number, "blocks that were read from storage"],
  ["cachedBytes", "Cached", size, ""],
  ["usage", "Used by this site", size, "as the browser estimates it"],
  ["quota", "Allowed", size, "by the browser"],
  ["persisted", "Persistent", (value) => (value ? "yes" : "no"), "whether the browser promised not to clear it"],
];

export async function figuresView(page, { database }) {
  const stats = await database.stats();
  const cards = FIGURES.filter(([name]) => stats[name] !== undefined).map(([name, title, words, note]) =>
    element(
      "div",
      { class: "figure", "data-figure": name },
      element("dt", {}, title),
      element("dd", {}, words(stats[name]), element("small", {}, note)),
    ),
  );
  const clear = button("Delete the store", () => page.attempt(() => askToDestroy(page)), { class: "danger" });
  const refresh = button("Refresh", () => page.refresh());
  return element(
    "div",
    {},
    element("dl", { class: "figures" }, cards),
    element("div", { class: "buttons" }, clear, refresh),
  );
}

async function askToDestroy(page) {
  const text = "Every database in it goes, in this tab and in all others. There is no way back.";
  await confirm("Delete the store?", text, "Delete everything", () => page.destroy());
}
