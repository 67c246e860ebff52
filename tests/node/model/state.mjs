// The model's data: a database's state is a map of rows that is copied whole, so no two ever share a change.
import { decode, encode } from "../../codec/source.mjs";

export const fail = (code, message, details = {}) => {
  throw { code, message: `${message} (model)`, details, retryable: code === "CONFLICT" };
};

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$/;
export const checkName = (name) => (NAME.test(name) ? name : fail("INVALID_NAME", `a name is wrong. name=${name}`));

/** Order of key parts: numbers, texts, bytes; arrays behind all of them, piece by piece. */
const rank = (part) =>
  typeof part === "number" ? 0 : typeof part === "string" ? 1 : part instanceof Uint8Array ? 2 : 3;

export function compareKeys(left, right) {
  if (rank(left) !== rank(right)) return rank(left) - rank(right);
  if (typeof left === "number") return left - right;
  if (!Array.isArray(left)) return Buffer.compare(Buffer.from(left), Buffer.from(right));
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const order = compareKeys(left[index], right[index]);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

export function checkKey(key) {
  const parts = Array.isArray(key) ? key : [key];
  if (parts.length === 0 || parts.length > 16 || parts.some(Number.isNaN)) fail("INVALID_KEY", "a key is wrong");
  if (encode(key).length > 1024) fail("TOO_LARGE", "a key is too large");
  return key;
}

export const keyText = (key) => Buffer.from(encode(Object.is(key, -0) ? 0 : key)).toString("hex");

/** A database's rows: collection -> { kind, rows: key text -> { key, bytes } }. */
export class State {
  constructor(collections = new Map()) {
    this.collections = collections;
  }

  copy() {
    return new State(
      new Map([...this.collections].map(([name, { kind, rows }]) => [name, { kind, rows: new Map(rows) }])),
    );
  }

  rows(kind, name) {
    checkName(name);
    const found = this.collections.get(name);
    if (found !== undefined && found.kind !== kind) fail("WRONG_KIND", `a collection is of another kind. name=${name}`);
    return found?.rows ?? new Map();
  }

  sorted(kind, name) {
    return [...this.rows(kind, name).values()].sort((left, right) => compareKeys(left.key, right.key));
  }

  get(kind, name, key) {
    const row = this.rows(kind, name).get(keyText(checkKey(key)));
    return row === undefined ? undefined : decode(row.bytes);
  }

  put(kind, name, key, value) {
    const rows = this.rows(kind, name);
    rows.set(keyText(checkKey(key)), { key, bytes: encode(value) });
    this.collections.set(name, { kind, rows });
  }

  delete(kind, name, key) {
    return this.rows(kind, name).delete(keyText(checkKey(key)));
  }
}
