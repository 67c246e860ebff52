// The ops of the core, on the model's state.
import { randomUUID } from "node:crypto";
import { Reader, encodeWith } from "../../codec/source.mjs";
import { applyUpdate } from "./update.mjs";
import { checkKey, compareKeys, fail } from "./state.mjs";

const PAGE_ROWS = 100;
const bytesOf = (write) => encodeWith(write, (bytes) => bytes.slice());
const newId = () => randomUUID().replace(/^(.{14})4/, "$17");
export const isMap = (value) =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Date) &&
  !(value instanceof Uint8Array);

/** Reads a list whose elements may each be as deep as a value can be. */
const list = (reader, element) => Array.from({ length: reader.arrayHeader() }, () => element(reader));
const value = (reader) => reader.value();
const pair = (reader) => (reader.arrayHeader(), [reader.value(), reader.value()]);
const optional = (writer, item) => {
  writer.arrayHeader(item === undefined ? 0 : 1);
  if (item !== undefined) writer.value(item);
};

/** Reads, by name: (state, collection, op's reader, writer of the answer). */
const reads = {
  get: (state, name, op, out) => optional(out, state.get("documents", name, op.value())),
  getMany(state, name, op, out) {
    const ids = op.value();
    out.arrayHeader(ids.length);
    for (const id of ids) optional(out, state.get("documents", name, id));
  },
  count: (state, name, _, out) => out.number(state.rows("documents", name).size),
  find(state, name, op, out) {
    const [after, skip, limit] = [op.value(), op.value(), op.value() ?? Infinity];
    const rows = state.sorted("documents", name).filter((row) => after === null || compareKeys(row.key, after) > 0);
    page(rows.slice(skip), limit, out);
  },
  kvGet: (state, name, op, out) => optional(out, state.get("kv", name, op.value())),
  kvGetMany(state, name, op, out) {
    const keys = op.value();
    out.arrayHeader(keys.length);
    for (const key of keys) optional(out, state.get("kv", name, key));
  },
  kvHas: (state, name, op, out) => out.boolean(state.get("kv", name, op.value()) !== undefined),
  kvGetField(state, name, op, out) {
    const map = state.get("kv", name, op.value());
    const field = op.value();
    optional(out, isMap(map) && Object.hasOwn(map, field) ? map[field] : undefined);
  },
  kvList(state, name, op, out) {
    const [range, reverse, limit, after] = [op.value(), op.value(), op.value() ?? Infinity, op.value()];
    let rows = inRange(state.sorted("kv", name), range);
    if (reverse) rows.reverse();
    if (after !== null)
      rows = rows.filter(({ key }) => (reverse ? compareKeys(key, after) < 0 : compareKeys(key, after) > 0));
    page(rows, limit, out);
  },
  kvCount: (state, name, op, out) => out.number(inRange(state.sorted("kv", name), op.value()).length),
};

function page(rows, limit, out) {
  const some = rows.slice(0, Math.min(limit, PAGE_ROWS));
  out.arrayHeader(2);
  out.value(some.length < rows.length ? (some.at(-1)?.key ?? null) : null);
  out.arrayHeader(some.length);
  for (const { key, bytes } of some) {
    out.arrayHeader(2);
    out.value(key);
    out.raw(bytes);
  }
}

function inRange(rows, [prefix, start, startAfter, end]) {
  for (const bound of [start, startAfter, end]) if (bound !== null) checkKey(bound);
  if (typeof prefix === "number") fail("INVALID_KEY", "a prefix is no number");
  return rows.filter(
    ({ key }) =>
      (prefix === null || hasPrefix(key, prefix)) &&
      (start === null || compareKeys(key, start) >= 0) &&
      (startAfter === null || compareKeys(key, startAfter) > 0) &&
      (end === null || compareKeys(key, end) < 0),
  );
}

function hasPrefix(key, prefix) {
  if (typeof prefix === "string") return typeof key === "string" && key.startsWith(prefix);
  if (!Array.isArray(prefix)) return key instanceof Uint8Array && prefix.every((byte, index) => key[index] === byte);
  return (
    Array.isArray(key) &&
    key.length > prefix.length &&
    prefix.every((part, index) => compareKeys(part, key[index]) === 0)
  );
}

/** Writes, by name: they change the state that they are given and say which keys they touched. */
const writes = {
  insert: (state, name, op, out, touched) => add(state, name, op, out, touched, true),
  put: (state, name, op, out, touched) => add(state, name, op, out, touched, false),
  update(state, name, op, out, touched) {
    const id = op.value();
    const change = op.value();
    const document = state.get("documents", name, id);
    const updated = applyUpdate(document, change);
    if (document !== undefined) {
      state.put("documents", name, id, updated);
      touched.push(id);
    }
    out.boolean(document !== undefined);
  },
  delete: (state, name, op, out, touched) => remove(state, "documents", name, op.value(), out, touched),
  kvDelete: (state, name, op, out, touched) => remove(state, "kv", name, op.value(), out, touched),
  kvSet(state, name, op, out, touched) {
    const entries = list(op, pair);
    const condition = op.value();
    const holds = condition === 0 || (state.get("kv", name, entries[0][0]) === undefined) === (condition === 1);
    if (holds)
      for (const [key, item] of entries) {
        state.put("kv", name, key, item);
        touched.push(key);
      }
    out.boolean(holds);
  },
  kvSetField(state, name, op, out, touched) {
    const [key, field] = [op.value(), op.value()];
    const [item] = list(op, value);
    const found = state.get("kv", name, key);
    const map = found === undefined ? {} : found;
    if (!isMap(map)) fail("WRONG_KIND", "a value is no map");
    if (item === undefined) delete map[field];
    else map[field] = item;
    state.put("kv", name, key, map);
    touched.push(key);
    out.nil();
  },
};

function add(state, name, op, out, touched, fresh) {
  const ids = list(op, pair).map(([given, document]) => {
    const id = given ?? newId();
    if (touched.includes(id) || (fresh && state.get("documents", name, id) !== undefined))
      fail("KEY_EXISTS", `an id is taken. id=${id}`, { key: id });
    state.put("documents", name, id, document);
    touched.push(id);
    return id;
  });
  out.value(ids);
}

function remove(state, kind, name, keys, out, touched) {
  let removed = 0;
  for (const key of keys) if (state.delete(kind, name, key)) (touched.push(key), removed++);
  out.number(removed);
}

/** Runs an op on a state. A write changes a copy, which is returned when it has succeeded. */
export function runOp(bytes, state) {
  const op = new Reader(bytes);
  op.arrayHeader();
  const name = op.value();
  const collection = op.value();
  const touched = [];
  if (name in reads) return { collection, touched, answer: bytesOf((out) => reads[name](state, collection, op, out)) };
  const copy = state.copy();
  const answer = bytesOf((out) => writes[name](copy, collection, op, out, touched));
  return { collection, touched, answer, next: touched.length > 0 ? copy : undefined };
}
