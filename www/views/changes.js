/** What a clone changed since it left its origin, row by row. */
import { button, element } from "../dom.js";
import { formatFlat, isObject } from "../text.js";
import { counted, number, point, shortened } from "../words.js";

const STEP = 50;
/** Of a value, as much is shown as a person still reads. */
const LENGTH = 400;
/** Of what both sides begin with, when they are longer than that. */
const LEAD = 40;
const WORDS = { insert: "inserted", update: "changed", delete: "deleted" };

/** A diff reads one snapshot, so after a write it is read anew, as far as it was shown. */
export async function changesView(page, { database, snapshot, origin, asOf }) {
  const list = element("ol", { class: "changes" });
  const summary = element("p", { class: "summary", role: "status", tabindex: -1 });
  const more = button("Show more", () => page.attempt(() => load(reading, STEP)));
  let reading;
  const leave = () => reading?.iterator.return?.();
  page.onLeave(leave);

  async function load(from, count) {
    for (let read = 0; read < count && !from.isDone; read++) {
      const step = await from.iterator.next();
      if (step.done === true) from.isDone = true;
      else from.changes.push(step.value);
    }
    if (from !== reading) return;
    if (from.drawn === 0) list.replaceChildren();
    list.append(...from.changes.slice(from.drawn).map(drawChange));
    from.drawn = from.changes.length;
    if (from.isDone && document.activeElement === more) summary.focus({ preventScroll: true });
    more.hidden = from.isDone;
    summary.textContent = summarize(from, database.name, `${origin} ${point(asOf)}`, origin);
  }

  async function reload() {
    const shown = Math.max(STEP, list.children.length);
    leave();
    const diff = database.diff(snapshot === undefined ? {} : { at: snapshot.version });
    reading = { iterator: diff[Symbol.asyncIterator](), changes: [], drawn: 0, isDone: false };
    await load(reading, shown);
  }

  await reload();
  return { element: element("div", {}, summary, list, more), reload };
}

function summarize({ changes, isDone }, name, from, origin) {
  if (changes.length === 0) return `${name} has changed nothing: every row is read from ${from}.`;
  const kinds = Object.keys(WORDS)
    .map((op) => [changes.filter((change) => change.op === op).length, WORDS[op]])
    .filter(([count]) => count > 0);
  const text = kinds.map(([count, word]) => `${number(count)} ${word}`).join(", ");
  if (!isDone) return `The first ${text}, compared with ${from}.`;
  const all = counted(changes.length, "row");
  return `${all} of its own, compared with ${from}: ${text}. ${origin} itself has none of these changes.`;
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
  const text = wholeText(kind, op === "insert" ? after : before);
  return element("p", { class: "whole" }, element(op === "insert" ? "ins" : "del", {}, shortened(text, LENGTH)));
}

/** A document's id stands above it already. */
function wholeText(kind, value) {
  if (kind === "kv") return formatFlat(value);
  const { id, ...fields } = value;
  return formatFlat(fields);
}

/** Where both sides are objects, only what differs is shown, by its path; how much does not is said. */
function drawUpdate({ before, after, fields }) {
  if (fields.length === 0) return element("dl", { class: "fields" }, differences("value", before, after));
  const same = Object.keys(after).filter((name) => name !== "id" && !fields.includes(name)).length;
  const rows = fields.flatMap((name) => differences(name, before[name], after[name]));
  const rest = same === 0 ? undefined : element("p", { class: "rest" }, `${counted(same, "field")} as before`);
  return element("div", {}, element("dl", { class: "fields" }, rows), rest);
}

/** Looks into objects for the fields in them that differ, and into lists, unless places in them have moved. */
function differences(path, before, after) {
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) {
    const inner = [...after.keys()].filter((index) => textOf(before[index]) !== textOf(after[index]));
    if (inner.length === 0) return [drawField(path, before, after)];
    return inner.flatMap((index) => differences(`${path}[${index}]`, before[index], after[index]));
  }
  if (!isObject(before) || !isObject(after)) return [drawField(path, before, after)];
  const names = new Set([...Object.keys(after), ...Object.keys(before)]);
  const inner = [...names].filter((name) => textOf(before[name]) !== textOf(after[name]));
  // Only their order differs.
  if (inner.length === 0) return [drawField(path, before, after)];
  return inner.flatMap((name) => differences(`${path}.${name}`, before[name], after[name]));
}

const textOf = (value) => (value === undefined ? undefined : formatFlat(value));

function drawField(name, before, after) {
  const [was, is] = [textOf(before), textOf(after)];
  const from = begin(was, is);
  const part = (text) => shortened(from === 0 ? text : `…${text.slice(from)}`, LENGTH);
  const sides = [];
  if (was !== undefined) sides.push(element("del", {}, part(was)));
  if (is !== undefined) sides.push(element("ins", {}, part(is)));
  return element("div", {}, element("dt", {}, name), element("dd", {}, sides));
}

/** Where to begin, so that of two long texts the difference is seen. */
function begin(was, is) {
  if (was === undefined || is === undefined || Math.max(was.length, is.length) <= LENGTH) return 0;
  let same = 0;
  while (same < was.length && was[same] === is[same]) same++;
  return Math.max(0, same - LEAD);
}
