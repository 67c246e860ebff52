// The report of all measures, as lines for a terminal or as tables for the README.
import { contenders } from "./compared.mjs";
import { median, shown } from "./figures.mjs";

const heads = { offshoot: "Offshoot", dexie: "Dexie", idb: "idb" };

function comparedRow({ title, samples }) {
  const medians = Object.fromEntries(contenders.map((who) => [who, median(samples[who])]));
  const ratio = (who) => `${shown(medians[who] / medians.offshoot)} times`;
  const bare = samples.bare === undefined ? "" : shown(median(samples.bare), "ms");
  return [title, ...contenders.map((who) => shown(medians[who], "ms")), bare, ratio("dexie"), ratio("idb")];
}

/** The comparison as cells: a head and its rows. */
function comparedTable(rows, versions) {
  const named = contenders.map((who) => `${heads[who]} ${versions[who]}`);
  const head = ["", ...named, "bare bytes", "Dexie / Offshoot", "idb / Offshoot"];
  return [head, ...rows.map(comparedRow)];
}

function targetTable(targets) {
  const rows = targets.map(({ name, measured, bound, ok }) => [name, measured, bound, ok ? "ok" : "MISSED"]);
  return [["target", "measured", "bound", ""], ...rows];
}

function asMarkdown(table) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const [head, ...rows] = table;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function asText(table) {
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table.map((row) => row.map((cell, column) => cell.padEnd(widths[column])).join("  ").trimEnd()).join("\n");
}

/** All that is to be shown, as one text. */
export function report({ rows, targets, notes, versions, markdown }) {
  const write = markdown ? asMarkdown : asText;
  const parts = [];
  if (rows.length > 0) parts.push(write(comparedTable(rows, versions)));
  if (targets.length > 0) parts.push(write(targetTable(targets)));
  if (notes.length > 0) parts.push(notes.map((note) => (markdown ? `- ${note}` : note)).join("\n"));
  const missed = targets.filter(({ ok }) => !ok).map(({ name }) => name);
  if (missed.length > 0 && !markdown) parts.push(`!!! ${missed.length} MISSED: ${missed.join(", ")}`);
  return parts.join("\n\n");
}
