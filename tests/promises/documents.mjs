// Documents from JavaScript: ids, the update language, and wrong input with its code.
import { equal, ok, promises, throws } from "./assert.mjs";
import { bothWays, withStore } from "./harness.mjs";

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

export const cases = [
  ...bothWays("a document without an id gets a UUIDv7, and the caller's object stays as it was", (api, act) =>
    withStore(api, async (db) => {
      const document = { text: "x" };
      const one = await act(db, (tx) => tx.collection("rows").insert(document));
      const many = await act(db, (tx) => tx.collection("rows").insertMany([{}, { id: "own" }, { id: undefined }]));
      const put = await act(db, (tx) => tx.collection("rows").put({}));
      equal(document, { text: "x" });
      equal(many[1], "own");
      for (const id of [one, many[0], many[2], put]) ok(UUID7.test(id), `no UUIDv7: ${id}`);
      equal(new Set([one, ...many, put]).size, 5);
      equal(await db.collection("rows").get(one), { id: one, text: "x" });
      equal(await db.collection("rows").count(), 5);
    }),
  ),
  ...bothWays("getMany answers in the order of the ids", (api, act) =>
    withStore(api, async (db) => {
      await db.collection("rows").insertMany([{ id: "a" }, { id: "b", n: 1 }]);
      const answer = await act(db, (tx) => tx.collection("rows").getMany(["b", "x", "a", "b"]));
      equal(answer, [{ id: "b", n: 1 }, undefined, { id: "a" }, { id: "b", n: 1 }]);
      equal(await act(db, (tx) => tx.collection("rows").getMany([])), []);
      equal(await act(db, (tx) => tx.collection("rows").insertMany([])), []);
      equal(await act(db, (tx) => tx.collection("rows").deleteMany([])), 0);
    }),
  ),
  ...bothWays("$set, $unset and $inc work on dotted paths and list positions", (api, act) =>
    withStore(api, async (db) => {
      const rows = db.collection("rows");
      const start = { id: "a", n: 1, big: 1n, deep: { list: [1, { x: 1 }], keep: true }, gone: 1 };
      const after = async (change) => {
        await rows.put(start);
        equal(await act(db, (tx) => tx.collection("rows").update("a", change)), true);
        const { id, ...rest } = await rows.get("a");
        equal(id, "a");
        return rest;
      };
      const { id: _, ...rest } = start;
      equal(await after({}), rest);
      equal(await after({ n: 2, fresh: [1] }), { ...rest, n: 2, fresh: [1] });
      equal(await after({ "deep.keep": false, "new.path.here": 1 }), {
        ...rest,
        deep: { ...rest.deep, keep: false },
        new: { path: { here: 1 } },
      });
      equal(await after({ $set: { "deep.list.0": 9 } }), { ...rest, deep: { ...rest.deep, list: [9, { x: 1 }] } });
      equal(await after({ $set: { "deep.list.1.x": 9 } }), { ...rest, deep: { ...rest.deep, list: [1, { x: 9 }] } });
      equal(await after({ $unset: { gone: true, "deep.keep": 1, nowhere: "", "no.where": 1 } }), {
        n: 1,
        big: 1n,
        deep: { list: rest.deep.list },
      });
      equal(await after({ $inc: { n: -2, fresh: 3, "deep.count": 1.5, big: 2n ** 70n } }), {
        ...rest,
        n: -1,
        fresh: 3,
        big: 2n ** 70n + 1n,
        deep: { ...rest.deep, count: 1.5 },
      });
      equal(await after({ $set: { a: 1 }, $unset: { gone: 1 }, $inc: { n: 1 } }), {
        n: 2,
        big: 1n,
        deep: rest.deep,
        a: 1,
      });
      equal(await after({ deep: undefined, gone: undefined }), { n: 1, big: 1n });
    }),
  ),
  {
    name: "a wrong update is INVALID_UPDATE and changes nothing",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        await rows.insert({ id: "a", n: 1, text: "x" });
        const refused = async (change, path) => {
          const { details } = await promises(api, () => rows.update("a", change), "INVALID_UPDATE");
          if (path !== undefined) equal(details.path, path);
        };
        for (const bad of [null, undefined, 5, "x", [], new Date(), new Map(), () => 1]) await refused(bad, "");
        await refused({ $set: { a: 1 }, b: 2 }, "b");
        await refused({ $set: 5 }, "$set");
        await refused({ $inc: [1] }, "$inc");
        await refused({ id: "b" }, "id");
        await refused({ $set: { id: "b" } }, "$set.id");
        await refused({ $unset: { id: 1 } }, "$unset.id");
        await refused({ $inc: { id: 1 } }, "$inc.id");
        await refused({ $push: { n: 1 } });
        await refused({ $nonsense: {} });
        await refused({ $set: { n: 1 }, $unset: { n: 1 } });
        await promises(api, () => rows.update("a", { $inc: { text: 1 } }), "NOT_A_NUMBER");
        equal(await rows.get("a"), { id: "a", n: 1, text: "x" });
      }),
  },
  {
    name: "a document that is no plain object is INVALID_VALUE",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        for (const bad of [
          undefined,
          null,
          5,
          "x",
          [],
          [{}],
          new Date(),
          new Map(),
          Uint8Array.of(1),
          () => 1,
          new (class A {})(),
        ]) {
          equal((await promises(api, () => rows.insert(bad), "INVALID_VALUE")).details.path, "");
          equal((await promises(api, () => rows.put(bad), "INVALID_VALUE")).details.path, "");
          equal((await promises(api, () => rows.insertMany([{}, bad]), "INVALID_VALUE")).details.path, "[1]");
        }
        await promises(api, () => rows.insertMany({ id: "a" }), "INVALID_VALUE");
        await promises(api, () => rows.insertMany(undefined), "INVALID_VALUE");
        equal(await rows.count(), 0);
      }),
  },
  {
    name: "wrong ids are INVALID_KEY, a taken or repeated one KEY_EXISTS",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        for (const bad of [5, null, {}, ["a"], true, 1n, Symbol("s"), "\ud800", "a\udfff"]) {
          await promises(api, () => rows.get(bad), "INVALID_KEY");
          await promises(api, () => rows.getMany(["a", bad]), "INVALID_KEY");
          await promises(api, () => rows.insert({ id: bad }), "INVALID_KEY");
          await promises(api, () => rows.put({ id: bad }), "INVALID_KEY");
          await promises(api, () => rows.update(bad, {}), "INVALID_KEY");
          await promises(api, () => rows.delete(bad), "INVALID_KEY");
          await promises(api, () => rows.deleteMany([bad]), "INVALID_KEY");
        }
        for (const bad of [undefined, "ab", {}, 5]) {
          await promises(api, () => rows.getMany(bad), "INVALID_KEY");
          await promises(api, () => rows.deleteMany(bad), "INVALID_KEY");
        }
        await promises(api, () => rows.get(), "INVALID_KEY");
        await rows.insert({ id: "a" });
        await promises(api, () => rows.insert({ id: "a" }), "KEY_EXISTS");
        await promises(api, () => rows.insertMany([{ id: "b" }, { id: "c" }, { id: "b" }]), "KEY_EXISTS");
        equal(await rows.count(), 1);
        await promises(api, () => rows.putMany([{ id: "b" }, { id: "a", n: 2 }, { id: "b" }]), "KEY_EXISTS");
        equal(await rows.find().toArray(), [{ id: "a" }]);
      }),
  },
  {
    name: "a filter, which this version does not know, is refused and not ignored",
    run: (api) =>
      withStore(api, async (db) => {
        await throws(api, () => db.collection("rows").find({ a: 1 }), "INVALID_FILTER");
        await promises(api, () => db.collection("rows").count({ a: 1 }), "INVALID_FILTER");
      }),
  },
  {
    name: "bad collection names are INVALID_NAME, at once",
    run: (api) =>
      withStore(api, async (db) => {
        for (const bad of [undefined, null, 5, {}, "\ud800"]) {
          await throws(api, () => db.collection(bad), "INVALID_NAME");
          if (bad !== undefined) await throws(api, () => db.kv(bad), "INVALID_NAME");
        }
      }),
  },
];
