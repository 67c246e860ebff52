// SEMANTICS W1 to W12 from JavaScript, each as a single call and inside db.transaction.
import { equal, ok, rejects } from "./assert.mjs";
import { bothWays, contents, withClone, withStore } from "./harness.mjs";

const keys = (changes) => changes.map(({ kind, op, key }) => `${kind} ${op} ${key}`).sort();

export const cases = [
  // W1
  ...bothWays("an update of a row that only the origin has copies it up and leaves the origin as it was", (api, act) =>
    withClone(api, async (clone, origin) => {
      const before = await contents(origin);
      equal(await act(clone, (db) => db.collection("notes").update("a", { text: "changed", added: true })), true);
      equal(await clone.collection("notes").get("a"), { id: "a", text: "changed", n: 0, tags: ["a"], added: true });
      equal(await contents(origin), before);
      equal((await clone.collection("notes").get("b")).text, "B");
      equal(keys(await clone.diff().toArray()), ["documents update a"]);
    }),
  ),
  // W1: the operators
  ...bothWays("operators work on the copy of an origin's row, field by field", (api, act) =>
    withClone(api, async (clone, origin) => {
      const change = { $set: { "deep.er": 1 }, $unset: { tags: true }, $inc: { n: 5, counted: 2 } };
      equal(await act(clone, (db) => db.collection("notes").update("b", change)), true);
      equal(await clone.collection("notes").get("b"), { id: "b", text: "B", n: 6, deep: { er: 1 }, counted: 2 });
      equal(await origin.collection("notes").get("b"), { id: "b", text: "B", n: 1, tags: ["b"] });
    }),
  ),
  // W2
  ...bothWays("an update of a row that the clone has already builds on the clone's row", (api, act) =>
    withClone(api, async (clone, origin) => {
      await clone.collection("notes").put({ id: "a", own: 1 });
      await origin.collection("notes").update("a", { text: "later" });
      equal(await act(clone, (db) => db.collection("notes").update("a", { more: 2 })), true);
      equal(await clone.collection("notes").get("a"), { id: "a", own: 1, more: 2 });
      equal((await origin.collection("notes").get("a")).text, "later");
    }),
  ),
  // W3
  ...bothWays("an update of an absent row changes nothing and never brings a deleted one back", (api, act) =>
    withClone(api, async (clone) => {
      await clone.collection("notes").delete("a");
      const deeper = await clone.clone("deeper");
      for (const db of [clone, deeper]) {
        const before = await contents(db);
        equal(await act(db, (tx) => tx.collection("notes").update("a", { text: "back" })), false);
        equal(await act(db, (tx) => tx.collection("notes").update("nowhere", { text: "new" })), false);
        equal(await act(db, (tx) => tx.collection("nowhere").update("a", { $inc: { n: 1 } })), false);
        equal(await db.collection("notes").get("a"), undefined);
        equal(await contents(db), before);
      }
      equal(await deeper.diff().toArray(), []);
      await deeper.close();
    }),
  ),
  // W4
  ...bothWays("a delete hides an origin's row behind a tombstone and reports the true count", (api, act) =>
    withClone(api, async (clone, origin) => {
      await clone.collection("notes").insert({ id: "own" });
      equal(await act(clone, (db) => db.collection("notes").delete("a")), true);
      equal(await act(clone, (db) => db.collection("notes").delete("a")), false);
      equal(await act(clone, (db) => db.collection("notes").delete("nowhere")), false);
      equal(await act(clone, (db) => db.collection("notes").deleteMany(["a", "b", "own", "nowhere"])), 2);
      equal(
        (await clone.collection("notes").find().toArray()).map((row) => row.id),
        ["c"],
      );
      equal(await clone.collection("notes").count(), 1);
      equal(await origin.collection("notes").count(), 3);
    }),
  ),
  // W4
  ...bothWays("a delete that finds nothing writes nothing", (api, act) =>
    withClone(api, async (clone) => {
      const { version } = clone;
      equal(await act(clone, (db) => db.collection("notes").deleteMany(["nowhere", "neither"])), 0);
      equal(await act(clone, (db) => db.kv().delete("nowhere")), false);
      equal(clone.version, version);
      equal(await clone.diff().toArray(), []);
    }),
  ),
  // W5
  ...bothWays("setField on an origin's value copies it up and sets one field of it", (api, act) =>
    withClone(api, async (clone, origin) => {
      await act(clone, (db) => db.kv().setField("a", "text", "changed"));
      equal(await clone.kv().get("a"), { n: 0, text: "changed" });
      equal(await origin.kv().get("a"), { n: 0, text: "a" });
      await act(clone, (db) => db.kv().setField("a", "n", undefined));
      equal(await clone.kv().get("a"), { text: "changed" });
      await act(clone, (db) => db.kv().setField("a", "nothing", null));
      equal(await clone.kv().get("a"), { text: "changed", nothing: null });
    }),
  ),
  // W5
  ...bothWays("setField on an absent key makes a map with that field", (api, act) =>
    withClone(api, async (clone, origin) => {
      await clone.kv().delete("b");
      await act(clone, (db) => db.kv().setField("new", "first", 1n));
      await act(clone, (db) => db.kv().setField("b", "kept", true));
      equal(await clone.kv().get("new"), { first: 1n });
      equal(await clone.kv().get("b"), { kept: true });
      equal(await origin.kv().get("b"), { n: 1, text: "b" });
      equal(await origin.kv().has("new"), false);
    }),
  ),
  // W5: a failure leaves nothing
  ...bothWays("setField on what is no map fails with WRONG_KIND", (api, act) =>
    withClone(api, async (clone) => {
      for (const value of ["text", null, [1], 5]) {
        await clone.kv().set("plain", value);
        await rejects(
          api,
          act(clone, (db) => db.kv().setField("plain", "x", 1)),
          "WRONG_KIND",
        );
        equal(await clone.kv().get("plain"), value);
      }
    }),
  ),
  // W6
  ...bothWays("deleteMany of keys hides each in one commit and reports how many were visible", (api, act) =>
    withClone(api, async (clone, origin) => {
      await clone.kv().set("own", 1);
      equal(await act(clone, (db) => db.kv().deleteMany(["a", "own", "nowhere", "c"])), 3);
      equal(await clone.kv().list().toArray(), [["b", { n: 1, text: "b" }]]);
      equal(await act(clone, (db) => db.kv().deleteMany(["a", "own"])), 0);
      equal(await origin.kv().count(), 3);
    }),
  ),
  // W6, W8
  ...bothWays("deleteMany with one wrong key deletes none of them", (api, act) =>
    withClone(api, async (clone) => {
      const before = await contents(clone);
      await rejects(
        api,
        act(clone, (db) => db.kv().deleteMany(["a", "b", { no: "key" }])),
        "INVALID_KEY",
      );
      await rejects(
        api,
        act(clone, (db) => db.collection("notes").deleteMany(["a", 5])),
        "INVALID_KEY",
      );
      equal(await contents(clone), before);
    }),
  ),
  // W7
  ...bothWays("put and set replace, insert fails on a row that is visible through any layer", (api, act) =>
    withClone(api, async (clone, origin) => {
      equal(await act(clone, (db) => db.collection("notes").put({ id: "a", whole: true })), "a");
      equal(await clone.collection("notes").get("a"), { id: "a", whole: true });
      equal(await act(clone, (db) => db.kv().set("a", "whole")), true);
      equal(await clone.kv().get("a"), "whole");
      await rejects(
        api,
        act(clone, (db) => db.collection("notes").insert({ id: "b" })),
        "KEY_EXISTS",
      );
      await rejects(
        api,
        act(clone, (db) => db.collection("notes").insert({ id: "a" })),
        "KEY_EXISTS",
      );
      equal(await clone.collection("notes").get("b"), { id: "b", text: "B", n: 1, tags: ["b"] });
      await clone.collection("notes").delete("b");
      equal(await act(clone, (db) => db.collection("notes").insert({ id: "b", again: 1 })), "b");
      equal(await clone.collection("notes").get("b"), { id: "b", again: 1 });
      equal((await origin.collection("notes").get("b")).text, "B");
    }),
  ),
  // W7: conditions see the merged row
  ...bothWays("ifAbsent and ifPresent look through all layers", (api, act) =>
    withClone(api, async (clone) => {
      equal(await act(clone, (db) => db.kv().set("a", 1, { ifAbsent: true })), false);
      equal(await act(clone, (db) => db.kv().set("new", 1, { ifAbsent: true })), true);
      equal(await act(clone, (db) => db.kv().set("a", 2, { ifPresent: true })), true);
      equal(await act(clone, (db) => db.kv().set("nowhere", 2, { ifPresent: true })), false);
      await clone.kv().delete("b");
      equal(await act(clone, (db) => db.kv().set("b", 3, { ifPresent: true })), false);
      equal(await act(clone, (db) => db.kv().set("b", 3, { ifAbsent: true })), true);
      equal(await clone.kv().list().toArray(), [
        ["a", 2],
        ["b", 3],
        ["c", { n: 2, text: "c" }],
        ["new", 1],
      ]);
    }),
  ),
  // W8
  ...bothWays("an insertMany that fails at its last document leaves nothing of the others", (api, act) =>
    withClone(api, async (clone) => {
      const before = await contents(clone);
      const documents = [{ id: "x" }, { id: "y" }, { id: "c" }];
      await rejects(
        api,
        act(clone, (db) => db.collection("notes").insertMany(documents)),
        "KEY_EXISTS",
      );
      await rejects(
        api,
        act(clone, (db) => db.collection("notes").insertMany([{ id: "x" }, { id: "x" }])),
        "KEY_EXISTS",
      );
      equal(await contents(clone), before);
    }),
  ),
  {
    // W8
    name: "a transaction whose body throws leaves nothing, copies and tombstones included",
    run: (api) =>
      withClone(api, async (clone) => {
        const before = await contents(clone);
        const { version } = clone;
        const mine = { code: "CONFLICT", message: "looks like the core's, but is the body's own" };
        let caught;
        await clone
          .transaction(async (tx) => {
            await tx.collection("notes").update("a", { text: "gone" });
            await tx.collection("notes").delete("b");
            await tx.collection("notes").insert({ id: "new" });
            await tx.kv().setField("a", "n", 99);
            await tx.kv().deleteMany(["b", "c"]);
            equal(
              (await contents(tx)).notes.map((row) => row.id),
              ["a", "c", "new"],
            );
            throw mine;
          })
          .catch((error) => (caught = error));
        ok(caught === mine, "what the body throws comes out unchanged");
        equal(await contents(clone), before);
        equal(clone.version, version);
        equal(await clone.diff().toArray(), []);
      }),
  },
  // W9
  ...bothWays("a row written over an origin's shows its base in the diff", (api, act) =>
    withClone(api, async (clone) => {
      await act(clone, (db) => db.collection("notes").update("a", { n: 7 }));
      await act(clone, (db) => db.collection("notes").delete("b"));
      await act(clone, (db) => db.collection("notes").insert({ id: "d" }));
      await act(clone, (db) => db.kv().set("a", null));
      const changes = await clone.diff().toArray();
      const a = { id: "a", text: "A", n: 0, tags: ["a"] };
      equal(
        changes.filter((change) => change.kind === "documents"),
        [
          {
            kind: "documents",
            collection: "notes",
            key: "a",
            op: "update",
            before: a,
            after: { ...a, n: 7 },
            fields: ["n"],
          },
          {
            kind: "documents",
            collection: "notes",
            key: "b",
            op: "delete",
            before: { id: "b", text: "B", n: 1, tags: ["b"] },
          },
          { kind: "documents", collection: "notes", key: "d", op: "insert", after: { id: "d" } },
        ],
      );
      const [entry] = changes.filter((change) => change.kind === "kv");
      equal([entry.op, entry.key, entry.before, entry.after], ["update", "a", { n: 0, text: "a" }, null]);
    }),
  ),
  // W10
  ...bothWays("every shape of write works on a clone of a clone", (api, act) =>
    withClone(api, async (clone) => {
      const deep = await clone.clone("deep");
      await act(deep, (db) => db.collection("notes").insertMany([{ id: "m1" }, { id: "m2" }]));
      await act(deep, (db) => db.collection("notes").putMany([{ id: "a", put: 1 }, { id: "m3" }]));
      await act(deep, (db) => db.collection("notes").update("b", { $inc: { n: 1 } }));
      await act(deep, (db) => db.collection("notes").delete("c"));
      await act(deep, (db) =>
        db.kv().setMany([
          ["a", 1],
          ["z", 26],
        ]),
      );
      await act(deep, (db) => db.kv().setField("b", "x", 1));
      await act(deep, (db) => db.kv().delete("c"));
      const { notes, kv } = await contents(deep);
      equal(notes, [
        { id: "a", put: 1 },
        { id: "b", text: "B", n: 2, tags: ["b"] },
        { id: "m1" },
        { id: "m2" },
        { id: "m3" },
      ]);
      equal(kv, [
        ["a", 1],
        ["b", { n: 1, text: "b", x: 1 }],
        ["z", 26],
      ]);
      equal((await contents(clone)).notes.length, 3);
      await deep.close();
    }),
  ),
  // W11
  ...bothWays("a database that is no clone takes every write all the same", (api, act) =>
    withStore(api, async (db) => {
      const id = await act(db, (tx) => tx.collection("notes").insert({ text: "x" }));
      equal(await act(db, (tx) => tx.collection("notes").update(id, { text: "y" })), true);
      equal(await db.collection("notes").get(id), { id, text: "y" });
      equal(await act(db, (tx) => tx.collection("notes").delete(id)), true);
      equal(await act(db, (tx) => tx.collection("notes").delete(id)), false);
      await act(db, (tx) => tx.kv().setField("k", "f", 1));
      equal(await act(db, (tx) => tx.kv().deleteMany(["k", "l"])), 1);
      equal(await contents(db), { notes: [], kv: [] });
    }),
  ),
  {
    // W12
    name: "a transaction whose database is dropped under it does not commit",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const other = await origin.database("draft");
        const work = clone.transaction(async (tx) => {
          await tx.collection("notes").update("a", { text: "too late" });
          await other.drop();
        });
        const error = await work.then(
          () => undefined,
          (caught) => caught,
        );
        ok(api.OffshootError.is(error, "CONFLICT", "CLOSED", "DATABASE_NOT_FOUND"), `got ${error?.code}`);
        equal(await origin.collection("notes").count(), 3);
      }),
  },
  {
    // W12
    name: "single calls that read and write never fail with CONFLICT, however many compete",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const second = await origin.database("draft");
        const calls = [];
        for (let n = 0; n < 50; n++) {
          calls.push(clone.collection("notes").update("a", { $inc: { n: 1 } }));
          calls.push(second.collection("notes").update("a", { $inc: { n: 1 } }));
          calls.push(second.kv().setField("a", `f${n}`, n));
        }
        await Promise.all(calls);
        equal((await clone.collection("notes").get("a")).n, 100);
        equal(Object.keys(await clone.kv().get("a")).length, 52);
        await second.close();
      }),
  },
];
