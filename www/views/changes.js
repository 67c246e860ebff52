/** What a clone changed since it left its origin, row by row. */
import { button, element } from "../dom.js";
import { formatFlat, isObject } from "../text.js";
import { counted, number, shortened } from "../words.js";

const STEP = 50;
const WORDS = { insert: "inserted", update: "changed", delete: "deleted" };

export async function changesView(page, { name, origin, diff }) {
  const iterator = diff()[Symbol.asyncIterator]();
  page.onLeave(() => iterator.return?.());
  const counts = { insert: 0, update: 0, delete: 0 };
  const list = element("ol", { class: "changes" });
  const summary = element("p", { class: "summary", role: "status" });
  const more = button("Show more", () => page.attempt(load));

  async function load() {
    let isDone = false;
    for (let shown = 0; shown < STEP && !isDone; shown++) {
      const step = await iterator.next();
      isDone = step.done === true;
      if (isDone) break;
      counts[step.value.op]++;
      list.append(drawChange(step.value));
    }
    more.hidden = isDone;
    summary.textContent = summarize(counts, isDone, name, origin);
  }

  await load();
  return element("div", {}, summary, list, more);
}

function summarize(counts, isDone, name, origin) {
  const total = counts.insert + counts.update + counts.delete;
  if (total === 0) return `${name} has changed nothing: every row is read from ${origin}.`;
  const kinds = Object.keys(counts).filter((op) => counts[op] > 0);
  const text = kinds.map((op) => `${number(counts[op])} ${WORDS[op]}`).join(", ");
  return isDone
    ? `${counted(total, "row")} of its own: ${text}. ${origin} still has them as they were.`
    : `The first ${text}.`;
}

function drawChange(change) {
  const key = change.kind === "kv" ? formatFlat(change.key) : change.key;
  const title = element(
    "h3",
    {},
    element("span", { class: `op op-${change.op}` }, WORDS[change.op]),
    element("span", { class: "key" }, key),
    element("small", {}, change.collection),
  );
  return element("li", {}, title, change.op === "update" ? drawUpdate(change) : drawWhole(change));
}

function drawWhole({ kind, op, before, after }) {
  const tag = op === "insert" ? "ins" : "del";
  return element(
    "p",
    { class: "whole" },
    element(tag, {}, shortened(wholeText(kind, op === "insert" ? after : before), 400)),
  );
}

/** A document's id stands above it already. */
function wholeText(kind, value) {
  if (kind === "kv") return formatFlat(value);
  const { id, ...fields } = value;
  return formatFlat(fields);
}

/** Where both sides are objects, only what differs is shown, by its path; how much does not is said. */
function drawUpdate({ before, after, fields }) {
  if (fields.length === 0) return element("dl", { class: "fields" }, drawField("value", before, after));
  const same = Object.keys(after).filter((name) => name !== "id" && !fields.includes(name)).length;
  const rows = fields.flatMap((name) => differences(name, before[name], after[name]));
  const rest = same === 0 ? undefined : element("p", { class: "rest" }, `${counted(same, "field")} as before`);
  return element("div", {}, element("dl", { class: "fields" }, rows), rest);
}

/** Looks into objects for the fields in them that differ. Lists are shown whole: their places mean nothing. */
function differences(path, before, after) {
  if (!isObject(before) || !isObject(after)) return [drawField(path, before, after)];
  const names = new Set([...Object.keys(after), ...Object.keys(before)]);
  const inner = [...names].filter((name) => textOf(before[name]) !== textOf(after[name]));
  // Only their order differs.
  if (inner.length === 0) return [drawField(path, before, after)];
  return inner.flatMap((name) => differences(`${path}.${name}`, before[name], after[name]));
}

const textOf = (value) => (value === undefined ? undefined : formatFlat(value));

function drawField(name, before, after) {
  const sides = [];
  if (before !== undefined) sides.push(element("del", {}, shortened(formatFlat(before), 400)));
  if (after !== undefined) sides.push(element("ins", {}, shortened(formatFlat(after), 400)));
  return element("div", {}, element("dt", {}, name), element("dd", {}, sides));
}
