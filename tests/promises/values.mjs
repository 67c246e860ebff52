// Every Value survives the way into the database and back; what is no Value is refused with its path.
import { equal, ok, promises } from "./assert.mjs";
import { withStore } from "./harness.mjs";

const deep = (levels) => (levels === 0 ? "bottom" : levels % 2 === 0 ? [deep(levels - 1)] : { in: deep(levels - 1) });

/** Values by name, so that a failure says which value it is of. */
export const values = {
  null: null,
  true: true,
  false: false,
  zero: 0,
  "minus zero": -0,
  one: 1,
  "minus one": -1,
  "2^31": 2 ** 31,
  "2^32": 2 ** 32,
  "largest safe": Number.MAX_SAFE_INTEGER,
  "smallest safe": Number.MIN_SAFE_INTEGER,
  unsafe: 2 ** 60,
  fraction: 0.1,
  tiny: 5e-324,
  huge: 1.7976931348623157e308,
  NaN: NaN,
  Infinity: Infinity,
  "-Infinity": -Infinity,
  "0n": 0n,
  "-1n": -1n,
  "2n**64n": 2n ** 64n,
  "-(2n**200n)": -(2n ** 200n),
  "empty string": "",
  ascii: "plain",
  accents: "äöü é ñ",
  emoji: "😀👩‍👩‍👧",
  nul: "a\0b",
  "byte order mark": "\ufeffx",
  "long text": "lorem ipsum ".repeat(2000),
  epoch: new Date(0),
  "before epoch": new Date(-1),
  "last date": new Date(8.64e15),
  "first date": new Date(-8.64e15),
  "now-like date": new Date(1_700_000_000_123),
  "empty bytes": new Uint8Array(0),
  bytes: Uint8Array.of(0, 1, 127, 128, 255),
  "many bytes": new Uint8Array(100_000).map((_, index) => index),
  "empty array": [],
  "empty object": {},
  nested: { a: [{ b: [[], {}] }, null], c: { d: { e: 1n } } },
  mixed: [1, -0, "x", null, [2n], { d: new Date(1) }],
  proto: JSON.parse('{"__proto__":{"x":1},"constructor":2,"then":3,"":4,"toString":5,"a.b":6}'),
};

export const cases = [
  {
    // R8: null, empty text and empty bytes are values
    name: "every value survives in a document, alone and with all others",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        for (const [name, value] of Object.entries(values)) {
          const id = await rows.insert({ value });
          equal(await rows.get(id), { id, value }, name);
        }
        await rows.put({ id: "all", ...values });
        equal(await rows.get("all"), { id: "all", ...values });
        equal(
          (await rows.find().toArray()).find((row) => row.id === "all"),
          { id: "all", ...values },
        );
        equal((await rows.getMany(["all"]))[0], { id: "all", ...values });
      }),
  },
  {
    // R8
    name: "every value survives as a KV value",
    run: (api) =>
      withStore(api, async (db) => {
        await db.kv("v").setMany(Object.entries(values));
        for (const [name, value] of Object.entries(values)) {
          equal(await db.kv("v").get(name), value, name);
          equal(await db.kv("v").has(name), true, name);
        }
        equal(new Map(await db.kv("v").list().toArray()).size, Object.keys(values).length);
        for (const [name, value] of await db.kv("v").list().toArray()) equal(value, values[name], name);
      }),
  },
  {
    name: "every value survives in a transaction's own reads",
    run: (api) =>
      withStore(api, (db) =>
        db.transaction(async (tx) => {
          for (const [name, value] of Object.entries(values)) {
            await tx.kv().set(name, value);
            equal(await tx.kv().get(name), value, name);
            await tx.collection("rows").put({ id: name, value });
            equal(await tx.collection("rows").get(name), { id: name, value }, name);
          }
        }),
      ),
  },
  {
    name: "a document's id stands first, whatever it is called, and no field of it is lost",
    run: (api) =>
      withStore(api, async (db) => {
        for (const id of ["x", "__proto__", "constructor", "then", "ä😀", " ", "a/b", "x".repeat(200)]) {
          await db.collection("ids").insert({ z: 1, id, a: 2 });
          const row = await db.collection("ids").get(id);
          equal(Object.keys(row), ["id", "z", "a"]);
          equal(row, { id, z: 1, a: 2 });
        }
      }),
  },
  {
    name: "values at the limits are stored, values beyond them fail with TOO_LARGE",
    run: (api) =>
      withStore(api, async (db) => {
        // 64 levels with the document's own.
        await db.collection("deep").insert({ id: "fits", value: deep(63) });
        equal(await db.collection("deep").get("fits"), { id: "fits", value: deep(63) });
        await promises(api, () => db.collection("deep").insert({ value: deep(64) }), "TOO_LARGE");
        await db.kv().set("fits", deep(64));
        equal(await db.kv().get("fits"), deep(64));
        await promises(api, () => db.kv().set("deep", deep(65)), "TOO_LARGE");
        await promises(api, () => db.kv().set("big", "x".repeat(16 * 1024 * 1024)), "TOO_LARGE");
      }),
  },
  {
    name: "an argument that is no value is refused with its path, wherever it is given",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        class Instance {}
        const cycle = {};
        cycle.self = cycle;
        for (const bad of [
          () => 1,
          Symbol("s"),
          new Instance(),
          new Map(),
          "\ud800",
          new Date(NaN),
          new Float64Array(2),
          [undefined],
        ]) {
          const at = Array.isArray(bad) ? "[0]" : "";
          const refused = async (call, path) =>
            equal((await promises(api, call, "INVALID_VALUE")).details, { path: path + at, outcome: "none" });
          await refused(() => rows.insert({ a: { b: [0, bad] } }), "a.b[1]");
          await refused(() => rows.insertMany([{}, { a: bad }]), "[1].a");
          await refused(() => rows.put({ a: bad }), "a");
          await refused(() => rows.putMany([{ a: [bad] }]), "[0].a[0]");
          await refused(() => rows.update("x", { f: bad }), "f");
          await refused(() => rows.update("x", { $set: { f: [bad] } }), "$set.f[0]");
          await refused(() => db.kv().set("k", { v: bad }), "v");
          await refused(
            () =>
              db.kv().setMany([
                ["k", 1],
                ["l", { v: bad }],
              ]),
            "[1].v",
          );
          await refused(() => db.kv().setField("k", "f", bad), "f");
        }
        equal((await promises(api, () => rows.insert(cycle), "INVALID_VALUE")).details.path, "self");
        equal((await promises(api, () => db.kv().set("k", undefined), "INVALID_VALUE")).details.path, "");
        equal(await rows.count(), 0);
        equal(await db.kv().count(), 0);
      }),
  },
  {
    name: "an object that throws when it is looked at is refused wherever it is given, with the cause",
    run: (api) =>
      withStore(api, async (db) => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        const [rows, kv] = [db.collection("rows"), db.kv()];
        for (const [code, path, call] of [
          ["INVALID_VALUE", "list[0]", () => rows.put({ list: [proxy] })],
          ["INVALID_VALUE", "", () => rows.put(proxy)],
          ["INVALID_VALUE", "[1]", () => rows.insertMany([{}, proxy])],
          ["INVALID_VALUE", "", () => kv.set("a", proxy)],
          ["INVALID_VALUE", "[0]", () => kv.setMany([proxy])],
          ["INVALID_VALUE", "", () => kv.setMany(proxy)],
          ["INVALID_VALUE", "$set.a", () => rows.update("a", { $set: { a: proxy } })],
          ["INVALID_UPDATE", "", () => rows.update("a", proxy)],
          ["INVALID_UPDATE", "$set", () => rows.update("a", { $set: proxy })],
          ["INVALID_KEY", undefined, () => kv.get(proxy)],
          ["INVALID_KEY", undefined, () => kv.set(["a", proxy], 1)],
          ["INVALID_KEY", undefined, () => rows.getMany(proxy)],
          ["INVALID_OPTION", undefined, () => kv.set("a", 1, proxy)],
          ["INVALID_OPTION", undefined, () => db.transaction(() => 1, proxy)],
          ["INVALID_OPTION", undefined, () => db.transaction(() => 1, { signal: proxy })],
          ["INVALID_OPTION", undefined, () => db.clone("c", { at: proxy })],
          ["INVALID_OPTION", undefined, () => db.merge({ onConflict: proxy })],
          ["INVALID_OPTION", undefined, () => api.open("other", { storage: proxy })],
        ]) {
          const { details, cause } = await promises(api, call, code);
          equal(details.path, path, String(call));
          ok(cause instanceof TypeError, String(call));
        }
        // A getter is the caller's own function: what it throws comes out unchanged.
        const own = new TypeError("mine");
        const thrown = await rows.put({ get a() { throw own; } }).catch((error) => error);
        ok(thrown === own);
      }),
  },
  {
    name: "an undefined field is left out, and removed by an update",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        await rows.insert({ id: "a", kept: 1, gone: undefined, in: { x: undefined } });
        equal(await rows.get("a"), { id: "a", kept: 1, in: {} });
        await rows.update("a", { kept: undefined, added: 2 });
        equal(await rows.get("a"), { id: "a", in: {}, added: 2 });
        await rows.update("a", { $set: { added: undefined, more: 3 } });
        equal(await rows.get("a"), { id: "a", in: {}, more: 3 });
      }),
  },
];
