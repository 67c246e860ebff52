// KV from JavaScript: order, ranges, prefixes, fields, counts.
import { equal, promises, throws } from "./assert.mjs";
import { all, bothWays, withStore } from "./harness.mjs";

/** Keys in order, by kind. These tests check the order within a kind and of arrays, not that between kinds. */
const words = ["", "a", "ab", "abc", "b", "ba", "é", "😀"];
const numbers = [-Infinity, -1000, -1.5, -1, 0, 0.5, 1, 2, 10, 1e21, Infinity];
const lists = [["a"], ["a", 1], ["a", 2], ["a", "x"], ["ab"], ["b", -1], ["b", 5]];

const listed = async (db, options) => (await db.kv().list(options).toArray()).map(([key]) => key);

export const cases = [
  {
    name: "entries are listed in the order of their keys, forwards and backwards",
    run: (api) =>
      withStore(api, async (db) => {
        for (const keys of [words, numbers, lists]) {
          const kv = db.kv();
          await kv.setMany([...keys].sort(() => 0.5 - Math.random()).map((key) => [key, true]));
          equal(await listed(db), keys);
          equal(await listed(db, { reverse: true }), [...keys].reverse());
          equal(
            (await all(kv.list({ limit: 3 }))).map(([key]) => key),
            keys.slice(0, 3),
          );
          equal(await listed(db, { reverse: true, limit: 2 }), [...keys].reverse().slice(0, 2));
          equal(await kv.deleteMany(keys), keys.length);
        }
      }),
  },
  ...bothWays("a range goes from start, or from behind startAfter, to before end", (api, act) =>
    withStore(api, async (db) => {
      await db.kv().setMany(numbers.map((key) => [key, key]));
      const keys = (options) => act(db, async (tx) => (await tx.kv().list(options).toArray()).map(([key]) => key));
      equal(await keys({ start: -1, end: 2 }), [-1, 0, 0.5, 1]);
      equal(await keys({ startAfter: -1, end: 2 }), [0, 0.5, 1]);
      equal(await keys({ start: -1.2, end: 1.7 }), [-1, 0, 0.5, 1]);
      equal(await keys({ start: 1, reverse: true }), [Infinity, 1e21, 10, 2, 1]);
      equal(await keys({ end: -1, reverse: true, limit: 1 }), [-1.5]);
      equal(await keys({ start: 5, end: 5 }), []);
      equal(await keys({ start: 5, end: 1 }), []);
      equal(await act(db, (tx) => tx.kv().count({ start: -1, end: 2 })), 4);
      equal(await act(db, (tx) => tx.kv().count({ startAfter: 2 })), 3);
    }),
  ),
  {
    name: "a prefix of text or bytes matches itself too, leading parts only what follows them",
    run: (api) =>
      withStore(api, async (db) => {
        await db
          .kv()
          .setMany(
            [...words, ...lists, Uint8Array.of(1), Uint8Array.of(1, 2), Uint8Array.of(2)].map((key) => [key, 0]),
          );
        equal(await listed(db, { prefix: "a" }), ["a", "ab", "abc"]);
        equal(await listed(db, { prefix: "ab", reverse: true }), ["abc", "ab"]);
        equal(await listed(db, { prefix: "a", start: "ab" }), ["ab", "abc"]);
        equal(await listed(db, { prefix: Uint8Array.of(1) }), [Uint8Array.of(1), Uint8Array.of(1, 2)]);
        equal(await listed(db, { prefix: ["a"] }), [
          ["a", 1],
          ["a", 2],
          ["a", "x"],
        ]);
        equal(await listed(db, { prefix: ["b"] }), [
          ["b", -1],
          ["b", 5],
        ]);
        equal(await listed(db, { prefix: ["nothing"] }), []);
        equal(await db.kv().count({ prefix: "a" }), 3);
        equal(await db.kv().count(), words.length + lists.length + 3);
      }),
  },
  {
    name: "a long list is read in pages without a gap or a repetition",
    run: (api) =>
      withStore(api, async (db) => {
        const big = "x".repeat(500);
        await db.kv("many").setMany(Array.from({ length: 3000 }, (_, n) => [n, big]));
        const kv = db.kv("many");
        const expected = Array.from({ length: 3000 }, (_, n) => n);
        equal(
          (await kv.list().toArray()).map(([key]) => key),
          expected,
        );
        equal(
          (await all(kv.list({ reverse: true }))).map(([key]) => key),
          expected.reverse(),
        );
        equal((await kv.list({ limit: 2500 }).toArray()).length, 2500);
        equal(await kv.count(), 3000);
      }),
  },
  ...bothWays("getField reads one field; null is a value, absent is undefined", (api, act) =>
    withStore(api, async (db) => {
      await db.kv().setMany([
        ["map", { a: 1, none: null, __proto__: null, "x.y": 2 }],
        ["text", "abc"],
        ["list", [1]],
      ]);
      const field = (key, name) => act(db, (tx) => tx.kv().getField(key, name));
      equal(await field("map", "a"), 1);
      equal(await field("map", "none"), null);
      equal(await field("map", "x.y"), 2);
      equal(await field("map", "b"), undefined);
      equal(await field("map", "toString"), undefined);
      equal(await field("nowhere", "a"), undefined);
    }),
  ),
  ...bothWays("getMany answers in the order of the keys", (api, act) =>
    withStore(api, async (db) => {
      await db.kv().setMany([
        ["a", null],
        ["b", 0],
      ]);
      equal(await act(db, (tx) => tx.kv().getMany(["b", "x", "a", "b"])), [0, undefined, null, 0]);
      equal(await act(db, (tx) => tx.kv().getMany([])), []);
      await act(db, (tx) => tx.kv().setMany([]));
      equal(await act(db, (tx) => tx.kv().deleteMany([])), 0);
    }),
  ),
  {
    name: "KV collections are apart from each other, and one name is one kind",
    run: (api) =>
      withStore(api, async (db) => {
        await db.kv("x").set("k", 1);
        await db.kv("y").set("k", 2);
        await db.collection("docs").insert({ id: "k" });
        equal([await db.kv("x").get("k"), await db.kv("y").get("k"), await db.kv().get("k")], [1, 2, undefined]);
        await promises(api, () => db.collection("x").insert({}), "WRONG_KIND");
        await promises(api, () => db.kv("docs").set("k", 1), "WRONG_KIND");
        equal((await db.collections()).map(({ name, kind, indexes }) => [name, kind, indexes]).sort(), [
          ["docs", "documents", []],
          ["x", "kv", []],
          ["y", "kv", []],
        ]);
      }),
  },
  {
    name: "keys have their limits",
    run: (api) =>
      withStore(api, async (db) => {
        const kv = db.kv();
        const long = "x".repeat(2000);
        const parts = Array.from({ length: 17 }, (_, n) => n);
        for (const bad of [NaN, [], parts, [NaN]]) await promises(api, () => kv.set(bad, 1), "INVALID_KEY");
        for (const bad of [long, [long], new Uint8Array(2000)]) await promises(api, () => kv.set(bad, 1), "TOO_LARGE");
        await promises(api, () => kv.get(long), "TOO_LARGE");
        await promises(api, () => db.collection("rows").insert({ id: long }), "TOO_LARGE");
        await promises(api, () => db.collection("rows").get(long), "TOO_LARGE");
        for (const good of ["x".repeat(1000), new Uint8Array(500), parts.slice(1), -0]) await kv.set(good, 1);
        equal(await kv.get(0), 1, "-0 and 0 are one key");
        equal(await kv.count(), 4);
      }),
  },
  {
    name: "wrong keys are INVALID_KEY, wrong ranges INVALID_OPTION",
    run: (api) =>
      withStore(api, async (db) => {
        const kv = db.kv();
        for (const bad of [
          undefined,
          null,
          true,
          1n,
          {},
          new Date(),
          Symbol("s"),
          [["a"]],
          [null],
          [{}],
          "\ud800",
          ["a\udc00"],
          () => 1,
        ]) {
          await promises(api, () => kv.get(bad), "INVALID_KEY");
          await promises(api, () => kv.has(bad), "INVALID_KEY");
          await promises(api, () => kv.set(bad, 1), "INVALID_KEY");
          await promises(api, () => kv.delete(bad), "INVALID_KEY");
          await promises(api, () => kv.getMany(["a", bad]), "INVALID_KEY");
          await promises(api, () => kv.setMany([[bad, 1]]), "INVALID_KEY");
          await promises(api, () => kv.setField(bad, "f", 1), "INVALID_KEY");
          await promises(api, () => kv.getField(bad, "f"), "INVALID_KEY");
          if (bad !== undefined) await throws(api, () => kv.list({ start: bad }), "INVALID_KEY");
        }
        await promises(api, () => kv.getMany("ab"), "INVALID_KEY");
        await promises(api, () => kv.deleteMany(undefined), "INVALID_KEY");
        await promises(api, () => kv.setMany(5), "INVALID_VALUE");
        await promises(api, () => kv.setMany([["k"]]), "INVALID_VALUE");
        await promises(api, () => kv.setField("k", 5, 1), "INVALID_KEY");
        for (const bad of [
          { from: 1 },
          { limit: -1 },
          { limit: 1.5 },
          { reverse: 1 },
          { start: 1, startAfter: 2 },
          null,
          "x",
        ]) {
          await throws(api, () => kv.list(bad), "INVALID_OPTION");
        }
        await promises(api, () => kv.count({ limit: 1 }), "INVALID_OPTION");
        await throws(api, () => kv.list({ prefix: 5 }), "INVALID_KEY");
        await promises(api, () => kv.count({ prefix: 5 }), "INVALID_KEY");
        await promises(api, () => kv.set("k", 1, { ifabsent: true }), "INVALID_OPTION");
        await promises(api, () => kv.set("k", 1, { ifAbsent: true, ifPresent: true }), "INVALID_OPTION");
        await promises(api, () => kv.set("k", 1, { ttl: 5 }), "INVALID_OPTION");
        equal(await kv.count(), 0);
      }),
  },
];
