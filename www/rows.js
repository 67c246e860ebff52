/** Reading a collection page by page, documents and KV entries alike: a row is a pair of key and value. */
import { keyOf } from "./editor.js";

export const PAGE = 50;

export function rowsOf(reader, kind, collection) {
  return kind === "kv" ? new EntryRows(reader.kv(collection)) : new DocumentRows(reader.collection(collection));
}

/** Documents in pages. A page begins at { cursor } or { skip }; `position` is the number of rows before it. */
class DocumentRows {
  #collection;

  constructor(collection) {
    this.#collection = collection;
  }

  start = { skip: 0, position: 0 };

  async page({ cursor, skip, position }) {
    const all = this.#collection.find();
    const { rows, next } = await (cursor === undefined ? all.skip(skip) : all.after(cursor)).page(PAGE);
    return {
      rows: rows.map((row) => [row.id, row]),
      next: next === undefined ? undefined : { cursor: next, position: position + rows.length },
    };
  }

  before({ position }) {
    return position === 0 ? undefined : { skip: Math.max(0, position - PAGE), position: Math.max(0, position - PAGE) };
  }

  count() {
    return this.#collection.count();
  }

  get(key) {
    return this.#collection.get(key);
  }

  /** The first row whose id is not before the text, found by halving: some twenty looks at one row each. */
  async seek(text) {
    let low = 0;
    let high = await this.count();
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const row = await this.#collection.find().skip(middle).first();
      if (row !== undefined && isBefore(row.id, text)) low = middle + 1;
      else high = middle;
    }
    return { skip: low, position: low };
  }
}

const encoder = new TextEncoder();

/** Ids are in the order of their bytes, which is not quite JavaScript's own order of strings. */
function isBefore(id, text) {
  const [a, b] = [encoder.encode(id), encoder.encode(text)];
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at === -1 ? a.length < b.length : a[at] < (b[at] ?? -1);
}

/** Entries in pages. A page begins at a range's start or startAfter; its position is unknown after a seek. */
class EntryRows {
  #entries;

  constructor(entries) {
    this.#entries = entries;
  }

  start = { range: {}, position: 0 };

  async page({ range, position }) {
    const rows = await this.#entries.list({ ...range, limit: PAGE + 1 }).toArray();
    if (rows.length <= PAGE) return { rows };
    rows.length = PAGE;
    const after = position === undefined ? undefined : position + PAGE;
    return { rows, next: { range: { startAfter: rows[PAGE - 1][0] }, position: after } };
  }

  /** The page before is unknown here; a caller that came by Next remembers it. */
  before() {
    return undefined;
  }

  count() {
    return this.#entries.count();
  }

  get(key) {
    return this.#entries.get(key);
  }

  async seek(text) {
    return { range: { start: keyOf(text) } };
  }
}
