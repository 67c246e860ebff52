/** A row as text that can be edited. Types are kept: see text.js. */
import { ask } from "./dialogs.js";
import { element, field } from "./dom.js";
import { format, formatFlat, isObject, parse } from "./text.js";

/** The text of a KV key: a bare word means text, anything else stands as it would in a value. */
export function keyOf(text) {
  try {
    return parse(text);
  } catch {
    return text;
  }
}

/** A document's text is without its id, which stands in the title and never changes. */
function rowText(kind, value) {
  if (kind === "kv") return format(value);
  const { id, ...fields } = value;
  return format(fields);
}

function rowValue(kind, text) {
  const value = parse(text);
  if (kind === "kv") return value;
  if (!isObject(value)) throw new Error("a document is an object: its text is in braces");
  if (Object.hasOwn(value, "id")) throw new Error("the id is not among the fields: it can't be changed");
  return value;
}

function editing(text, readOnly) {
  const area = element("textarea", {
    rows: Math.min(24, Math.max(6, text.split("\n").length + 1)),
    spellcheck: "false",
    autocapitalize: "off",
    readonly: readOnly,
    class: "code",
  });
  area.value = text;
  area.setSelectionRange(0, 0);
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    area.form.requestSubmit();
  });
  return area;
}

const HINT = 'JSON, and also 12n, NaN, Date("2026-01-31T12:00:00.000Z"), Bytes("00ff"). Ctrl+Enter saves.';

/** @returns { outcome: "saved" or "deleted", version }, or undefined when the row was left as it is */
export function editRow({ database, kind, collection, key, value, readOnly }) {
  const opened = rowText(kind, value);
  const area = editing(opened, readOnly);
  const save = async () => {
    const edited = rowValue(kind, area.value);
    const version = await unchanged({ database, kind, collection, key, opened }, (rows) =>
      kind === "kv" ? rows.set(key, edited) : rows.put({ ...edited, id: key }),
    );
    return { outcome: "saved", version };
  };
  const remove = async () => {
    const version = await unchanged({ database, kind, collection, key, opened }, (rows) => rows.delete(key));
    return { outcome: "deleted", version };
  };
  const deleting = { text: `Delete from ${database.name}`, work: remove, properties: { class: "danger aside" } };
  return ask({
    title: kind === "kv" ? formatFlat(key) : key,
    content: element("div", {}, field(`${collection} in ${database.name}`, area, readOnly ? undefined : HINT)),
    action: "Save",
    submit: readOnly ? undefined : save,
    extra: readOnly ? [] : [deleting],
    wide: true,
  });
}

/** Writes only over what the person has seen: another tab may have been faster. */
function unchanged({ database, kind, collection, key, opened }, write) {
  return committing(database, kind, collection, async (rows) => {
    const now = await rows.get(key);
    if (now === undefined) throw new Error("the row was deleted since it was opened");
    if (rowText(kind, now) !== opened) throw new Error("the row was changed since it was opened: open it again");
    await write(rows);
  });
}

/** Writes rows of a collection in one commit. @returns its version, or undefined when nothing was written */
export async function committing(database, kind, collection, write) {
  let version;
  const body = (tx) => write(kind === "kv" ? tx.kv(collection) : tx.collection(collection));
  await database.transaction(body, { onCommit: (made) => (version = made) });
  return version;
}

/** @returns { key, version } of the new row, or undefined */
export function addRow({ database, kind, collection }) {
  const key = element("input", { autocomplete: "off", spellcheck: "false", class: "code", required: kind === "kv" });
  const area = editing(kind === "kv" ? "" : "{\n  \n}", false);
  const submit = async () => {
    const value = rowValue(kind, area.value);
    let made = key.value;
    const version = await committing(database, kind, collection, async (rows) => {
      if (kind === "documents") {
        made = await rows.insert(key.value === "" ? value : { ...value, id: key.value });
      } else if (!(await rows.set(keyOf(key.value), value, { ifAbsent: true }))) {
        throw new Error(`this key is there already. key=${formatFlat(keyOf(key.value))}`);
      }
    });
    return { key: made, version };
  };
  const keyHint = kind === "kv" ? 'A word, or 12, Bytes("00ff"), ["a", 1]' : "Left empty, one is made.";
  const content = element("div", {}, field(kind === "kv" ? "Key" : "Id", key, keyHint), field("Value", area, HINT));
  return ask({ title: `New row in ${collection}`, content, action: "Add", submit, wide: true });
}
