/** One change of a row: its value before, and its value now. */
import { element } from "../dom.js";
import { formatFlat, isObject } from "../text.js";
import { counted, differenceIn, shortened } from "../words.js";

/** Characters of a value that are shown: as many as a person still reads. */
const LENGTH = 400;
export const CHANGE_WORDS = { insert: "inserted", update: "changed", delete: "deleted" };

/** The id of a change's row, which is the same whatever the change is. */
export const changeId = ({ collection, kind, key }) => JSON.stringify([collection, kind, formatFlat(key)]);
export const changeName = ({ kind, key }) => (kind === "kv" ? formatFlat(key) : key);

/** `boxes`: { row, fields }, where given: the box beside the row, and those beside its fields, by their names. */
export function drawChange(change, boxes) {
  const title = element(
    "h3",
    {},
    boxes?.row,
    element("span", { class: `op op-${change.op}` }, CHANGE_WORDS[change.op]),
    element("span", { class: "key" }, changeName(change)),
    element("small", {}, change.collection),
  );
  return element("li", {}, title, change.op === "update" ? drawUpdate(change, boxes?.fields) : drawWhole(change));
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

/** Draws an update. Of two objects it draws the fields that differ, by their paths, and counts the others. */
function drawUpdate({ before, after, fields }, boxes) {
  if (fields.length === 0) return element("dl", { class: "fields" }, differences("value", before, after));
  const same = Object.keys(after).filter((name) => name !== "id" && !fields.includes(name)).length;
  const rows = fields.flatMap((name) => {
    const drawn = differences(name, before[name], after[name]);
    const box = boxes?.get(name);
    if (box !== undefined) drawn[0].querySelector("dt").prepend(box);
    return drawn;
  });
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
  // Only the order of the fields differs.
  if (inner.length === 0) return [drawField(path, before, after)];
  return inner.flatMap((name) => differences(`${path}.${name}`, before[name], after[name]));
}

const textOf = (value) => (value === undefined ? undefined : formatFlat(value));

function drawField(name, before, after) {
  const [was, is] = [textOf(before), textOf(after)];
  const from = differenceIn(was, is, LENGTH);
  const part = (text) => shortened(from === 0 ? text : `…${text.slice(from)}`, LENGTH);
  const sides = [];
  if (was !== undefined) sides.push(element("del", {}, part(was)));
  if (is !== undefined) sides.push(element("ins", {}, part(is)));
  return element("div", {}, element("dt", {}, name), element("dd", {}, sides));
}
