/** A page of rows as a table; on a narrow screen as cards. */
import { button, element } from "../dom.js";
import { formatFlat, isObject } from "../text.js";
import { shortened } from "../words.js";

const COLUMNS = 5;
/** More than all rows of a page, so that any flat field comes before a nested one. */
const FLAT = 1000;

/** How a row is called on the page. */
export const rowName = (kind, key) => (kind === "kv" ? formatFlat(key) : key);

/**
 * `onopen(key)` is called for the row that was chosen, `onselect(keys)` with all keys whose boxes are ticked, at first
 * those of `selected`; without it there are no boxes.
 */
export function drawTable({ rows, kind, collection, selected, onopen, onselect }) {
  const names = kind === "kv" ? ["value"] : columns(rows.map(([, value]) => value));
  const boxes = rows.map(([key]) => checkbox(`Select ${rowName(kind, key)}`, tell));
  const ticked = new Set(selected.map((key) => rowName(kind, key)));
  rows.forEach(([key], index) => (boxes[index].checked = ticked.has(rowName(kind, key))));
  const all = checkbox("Select all rows of this page", () => {
    for (const box of boxes) box.checked = all.checked;
    tell();
  });
  function tell() {
    onselect(rows.filter((_, index) => boxes[index].checked).map(([key]) => key));
  }
  const pick = (tag, role, box) => (onselect === undefined ? [] : element(tag, { role, class: "pick" }, box));
  const heads = [kind === "kv" ? "key" : "id", ...names];
  const head = heads.map((name, at) =>
    element("th", { role: "columnheader", scope: "col", class: at === 0 ? "key" : columnClass(at - 1) }, name),
  );
  const body = rows.map(([key, value], index) => {
    const name = rowName(kind, key);
    const open = button(name, () => onopen(key), { class: "open", id: `row ${name}` });
    const fields = () => names.map((field, at) => cell(field, value[field], 80, at));
    const cells = kind === "kv" ? cell("value", value, 200) : fields();
    const title = element("th", { role: "rowheader", scope: "row" }, open);
    return element("tr", { role: "row" }, pick("td", "cell", boxes[index]), title, cells);
  });
  // Laid out as cards, the elements would be no table any more for a screen reader but for their roles.
  return element(
    "table",
    { role: "table", "aria-label": `Rows of ${collection}`, class: `of-${kind}` },
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, pick("th", "columnheader", all), head)),
    element("tbody", { role: "rowgroup" }, body),
  );
}

const checkbox = (name, onchange) => element("input", { type: "checkbox", "aria-label": name, onchange });

/** The fields that most rows have, flat ones before nested ones. */
function columns(values) {
  const seen = new Map();
  for (const value of values) {
    for (const [name, item] of Object.entries(value)) {
      if (name !== "id") seen.set(name, (seen.get(name) ?? 0) + (isObject(item) ? 1 : FLAT));
    }
  }
  const names = [...seen].sort(([, a], [, b]) => b - a).map(([name]) => name);
  return names.slice(0, COLUMNS);
}

/** Marks the columns that a screen of middle size has no room for. */
const columnClass = (at) => (at < 3 ? undefined : "late");

function cell(name, value, length, at = 0) {
  const isText = typeof value === "string";
  const text = value === undefined ? "" : isText ? value : formatFlat(value);
  const classes = [isText ? undefined : `kind-${typeof value}`, columnClass(at)].filter(Boolean).join(" ");
  return element("td", { role: "cell", "data-name": name, class: classes || undefined }, shortened(text, length));
}
