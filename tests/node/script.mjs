// A random script of calls, the same for the same seed, that can be run on any implementation of the API.
import { Generator } from "../codec/generator.mjs";

const IDS = ["a", "b", "c", "dd", "ee", "f\0", "ä"];
const KEYS = [
  "a",
  "b",
  "c",
  "ab",
  1,
  2,
  -1.5,
  ["a"],
  ["a", 1],
  ["b", 2],
  Uint8Array.of(1),
  Uint8Array.of(1, 2),
  "\0",
  "",
];
const PREFIXES = ["a", "", Uint8Array.of(1), ["a"]];
const PATHS = ["n", "m", "d", "d.x", "d.y", "d.x.z", "l", "l.0", "l.1"];
const COLLECTIONS = ["x", "y"];

/** Draws calls: each is `{ name, run(target) }`, where the target is a database or a transaction. */
export class Script extends Generator {
  /** Few values, so that equal ones meet. */
  small() {
    const makers = [
      () => this.below(5),
      () => null,
      () => ({ a: this.below(3), b: { c: this.below(2) } }),
      () => [this.below(3)],
      () => 2n ** BigInt(this.below(80)),
    ];
    return this.pick(makers)();
  }

  fieldsOfDocument() {
    const field = () => [this.pick(["n", "m", "d", "l"]), this.below(3) === 0 ? { x: this.below(3) } : this.small()];
    return Object.fromEntries(Array.from({ length: this.below(4) }, field));
  }

  change() {
    const amount = this.pick([1, -2, 0.5, 3n]);
    const [one, other, value] = [this.pick(PATHS), this.pick(PATHS), this.small()];
    return this.pick([
      { [one]: value },
      { $set: { [one]: value, [other]: 1 } },
      { $unset: { [one]: true } },
      { $inc: { [one]: amount } },
    ]);
  }

  call() {
    const collection = this.pick(COLLECTIONS);
    const [id, otherId] = [this.pick(IDS), this.pick(IDS)];
    const [document, otherDocument] = [
      { id, ...this.fieldsOfDocument() },
      { id: otherId, ...this.fieldsOfDocument() },
    ];
    const [key, otherKey, value] = [this.pick(KEYS), this.pick(KEYS), this.small()];
    const condition = this.pick([undefined, { ifAbsent: true }, { ifPresent: true }]);
    const range = this.pick([{ start: key, end: otherKey }, { startAfter: key }, { prefix: this.pick(PREFIXES) }]);
    const order = { reverse: this.below(2) === 0, limit: this.pick([undefined, 0, 1, 3]) };
    const [field, change, skip] = [this.pick(["a", "b", "n"]), this.change(), this.below(3)];
    const calls = {
      insert: (target) => target.collection(collection).insert(document),
      insertMany: (target) => target.collection(collection).insertMany([document, otherDocument]),
      put: (target) => target.collection(collection).put(document),
      update: (target) => target.collection(collection).update(id, change),
      delete: (target) => target.collection(collection).delete(id),
      deleteMany: (target) => target.collection(collection).deleteMany([id, otherId]),
      get: (target) => target.collection(collection).get(id),
      find: (target) => target.collection(collection).find().skip(skip).limit(3).toArray(),
      set: (target) => target.kv().set(key, value, condition),
      setMany: (target) =>
        target.kv().setMany([
          [key, value],
          [otherKey, 1],
        ]),
      setField: (target) => target.kv().setField(key, field, value),
      deleteKeys: (target) => target.kv().deleteMany([key, otherKey]),
      list: (target) =>
        target
          .kv()
          .list({ ...range, ...order })
          .toArray(),
      countRange: (target) => target.kv().count(range),
    };
    const name = this.pick(Object.keys(calls));
    return { name, run: calls[name] };
  }
}

/** All that a database, transaction or snapshot shows. */
export async function everything(target) {
  const shown = { kv: await target.kv().list().toArray(), entries: await target.kv().count() };
  for (const name of COLLECTIONS) {
    shown[name] = await target.collection(name).find().toArray();
    shown[`${name} counted`] = await target.collection(name).count();
  }
  return shown;
}

/** The value of a call or its error's code, to be compared. A failure of the core itself is thrown. */
export async function outcome(work) {
  try {
    return { value: await work() };
  } catch (error) {
    if (typeof error.code !== "string" || error.code === "INTERNAL") throw error;
    return { code: error.code };
  }
}
