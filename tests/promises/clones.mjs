// SEMANTICS C1, C3 to C5, C8, C9 and C11 from JavaScript.
import { equal, ok, promises, rejects, throws } from "./assert.mjs";
import { all, contents, withClone, withStore } from "./harness.mjs";

export const cases = [
  {
    // C1
    name: "a clone begins as its origin is, or as it was",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        await rows.insert({ id: "a", n: 1 });
        const { version } = db;
        await rows.update("a", { n: 2 });
        const present = await db.clone("present");
        const past = await db.clone("past", { at: version });
        equal(await present.collection("rows").get("a"), { id: "a", n: 2 });
        equal(await past.collection("rows").get("a"), { id: "a", n: 1 });
        equal([present.name, present.store, present.storageMode], ["present", db.store, db.storageMode]);
        await Promise.all([present.close(), past.close()]);
      }),
  },
  {
    // C1
    name: "a name that is taken fails, or opens what is there when asked to",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").insert({ id: "own" });
        await promises(api, () => origin.clone("draft"), "DATABASE_EXISTS");
        await promises(api, () => origin.clone("main"), "DATABASE_EXISTS");
        const again = await origin.clone("draft", { existing: "open" });
        equal(await again.collection("notes").count(), 4);
        await again.close();
      }),
  },
  {
    // C3
    name: "clones of clones go to a depth of 8",
    run: (api) =>
      withStore(api, async (db) => {
        await db.collection("rows").insert({ id: "root" });
        const chain = [db];
        for (let depth = 1; depth <= 8; depth++) {
          const clone = await chain.at(-1).clone(`c${depth}`);
          await clone.collection("rows").insert({ id: `c${depth}` });
          chain.push(clone);
        }
        equal(await chain.at(-1).collection("rows").count(), 9);
        const { details } = await promises(api, () => chain.at(-1).clone("c9"), "CLONE_DEPTH_EXCEEDED");
        equal(typeof details.materialize, "string");
        // C4
        const lineage = await chain.at(-1).lineage();
        equal(
          lineage.map((entry) => entry.name),
          ["c8", "c7", "c6", "c5", "c4", "c3", "c2", "c1", "main"],
        );
        await Promise.all(chain.slice(1).map((clone) => clone.close()));
      }),
  },
  {
    // C4, C5
    name: "lineage and status tell where a database comes from",
    run: async (api) => {
      const now = 1_700_000_000_000;
      await withStore(
        api,
        async (db) => {
          await db.collection("rows").insert({});
          const clone = await db.clone("copy");
          const [first, root] = await clone.lineage();
          equal(
            [first.name, first.status, root.name, root.status],
            ["copy", { state: "shadowed" }, "main", { state: "root" }],
          );
          ok(first.createdAt instanceof Date && root.createdAt instanceof Date);
          equal(first.createdAt, new Date(now));
          equal(typeof first.asOf, "string");
          equal(typeof first.createdVersion, "string");
          equal(Object.hasOwn(root, "asOf"), false);
          equal(await clone.status(), { state: "shadowed" });
          const infos = await db.databases();
          equal(infos.map((info) => info.name).sort(), ["copy", "main"]);
          const info = infos.find(({ name }) => name === "copy");
          equal([info.origin, info.asOf, info.dependents, info.createdAt], ["main", first.asOf, [], new Date(now)]);
          equal(infos.find(({ name }) => name === "main").dependents, ["copy"]);
          equal(infos.filter((each) => Object.hasOwn(each, "ownBytes")), [], "sizes were not asked for");
          const sized = await db.databases({ sizes: true });
          equal(sized.map(({ ownBytes }) => typeof ownBytes), ["number", "number"]);
          await promises(api, () => db.databases({ sizes: 1 }), "INVALID_OPTION");
          await clone.close();
        },
        { now: () => now },
      );
    },
  },
  {
    // C8
    name: "a database with clones can't be dropped, and says which",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const grandchild = await clone.clone("deep");
        const { details } = await promises(api, () => clone.drop(), "CLONE_DEPENDENCY");
        equal(details.dependents, ["deep"]);
        equal(await clone.collection("notes").count(), 3);
        await grandchild.drop();
        await promises(api, () => grandchild.collection("notes").count(), "CLOSED");
        await promises(api, () => origin.database("deep"), "DATABASE_NOT_FOUND");
        await clone.drop();
        equal(
          (await origin.databases()).map((info) => info.name),
          ["main"],
        );
        equal(await origin.collection("notes").count(), 3);
        const reborn = await origin.clone("draft");
        equal(await reborn.diff().toArray(), []);
        await reborn.close();
      }),
  },
  {
    // C9
    name: "the root can't be dropped, and names have their rules",
    run: (api) =>
      withStore(api, async (db) => {
        await promises(api, () => db.drop(), "NOT_A_CLONE");
        for (const bad of ["", ".hidden", "a b", "a/b", "ä", "x".repeat(65), "a\0", 5, null, {}, "\ud800"]) {
          await promises(api, () => db.clone(bad), "INVALID_NAME");
        }
        for (const good of ["a", "x".repeat(64), "A-b_c.1", "1"]) await (await db.clone(good)).close();
        equal((await db.databases()).length, 5);
        await promises(api, () => db.database("nowhere"), "DATABASE_NOT_FOUND");
        await promises(api, () => db.database(5), "INVALID_NAME");
      }),
  },
  {
    name: "a clone without a name goes when its handle closes",
    run: (api) =>
      withStore(api, async (db) => {
        await db.collection("rows").insert({ id: "a" });
        const scratch = await db.clone();
        await scratch.collection("rows").delete("a");
        equal(await scratch.collection("rows").count(), 0);
        equal((await db.databases()).length, 2);
        await scratch.close();
        equal(
          (await db.databases()).map((info) => info.name),
          ["main"],
        );
        equal(await db.collection("rows").count(), 1);
      }),
  },
  {
    // C11
    name: "diff lists inserts, updates and deletes with both sides and the changed fields",
    run: (api) =>
      withClone(api, async (clone) => {
        await clone.collection("notes").update("a", { text: "changed", extra: { deep: 1 } });
        await clone.collection("notes").update("a", { tags: undefined });
        await clone.collection("notes").delete("b");
        await clone.collection("notes").insert({ id: "d", n: 4 });
        await clone.collection("other").insert({ id: "x" });
        await clone.kv().delete("a");
        await clone.kv().set("b", { n: 1, text: "changed" });
        await clone.kv().set("new", null);
        const changes = await clone.diff().toArray();
        const of = (kind, collection) =>
          changes.filter((change) => change.kind === kind && change.collection === collection);
        const [a, b, d] = of("documents", "notes");
        equal([...a.fields].sort(), ["extra", "tags", "text"]);
        equal(a, {
          kind: "documents",
          collection: "notes",
          key: "a",
          op: "update",
          before: { id: "a", text: "A", n: 0, tags: ["a"] },
          after: { id: "a", text: "changed", n: 0, extra: { deep: 1 } },
          fields: a.fields,
        });
        equal(b, {
          kind: "documents",
          collection: "notes",
          key: "b",
          op: "delete",
          before: { id: "b", text: "B", n: 1, tags: ["b"] },
        });
        equal(d, { kind: "documents", collection: "notes", key: "d", op: "insert", after: { id: "d", n: 4 } });
        equal(of("documents", "other"), [
          { kind: "documents", collection: "other", key: "x", op: "insert", after: { id: "x" } },
        ]);
        equal(of("kv", "kv"), [
          { kind: "kv", collection: "kv", key: "a", op: "delete", before: { n: 0, text: "a" } },
          {
            kind: "kv",
            collection: "kv",
            key: "b",
            op: "update",
            before: { n: 1, text: "b" },
            after: { n: 1, text: "changed" },
            fields: ["text"],
          },
          { kind: "kv", collection: "kv", key: "new", op: "insert", after: null },
        ]);
        equal(await all(clone.diff()), changes);
        const controller = new AbortController();
        const seen = [];
        const cut = async () => {
          for await (const change of clone.diff({ signal: controller.signal })) {
            seen.push(change);
            controller.abort();
          }
        };
        await rejects(api, cut(), "ABORTED");
        equal(seen, [changes[0]]);
        equal(await clone.diff({ collection: "other" }).toArray(), of("documents", "other"));
      }),
  },
  {
    // C11
    name: "a row that was changed and changed back, or made and deleted, is no difference",
    run: (api) =>
      withClone(api, async (clone) => {
        await clone.collection("notes").update("a", { n: 5 });
        await clone.collection("notes").update("a", { n: 0 });
        await clone.collection("notes").insert({ id: "d" });
        await clone.collection("notes").delete("d");
        await clone.kv().delete("a");
        await clone.kv().set("a", { n: 0, text: "a" });
        equal(await clone.diff().toArray(), []);
      }),
  },
  {
    // C11
    name: "diff compares with another database, a snapshot, or a point of the past",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const { version } = clone;
        await clone.collection("notes").update("a", { n: 5 });
        const then = clone.version;
        await clone.collection("notes").delete("b");
        await origin.collection("notes").update("c", { n: 9 });
        const keys = async (db, options) => (await db.diff(options).toArray()).map(({ op, key }) => `${op} ${key}`);
        equal(await keys(clone, undefined), ["update a", "delete b"]);
        equal(await keys(clone, { against: origin }), ["update a", "delete b", "update c"]);
        equal(await keys(origin, { against: clone }), ["update a", "insert b", "update c"]);
        equal(await keys(clone, { at: then }), ["update a"]);
        equal(await keys(clone, { against: then }), ["delete b"]);
        equal(await keys(clone, { against: version }), ["update a", "delete b"]);
        const snapshot = await clone.at(then);
        equal(await keys(clone, { against: snapshot }), ["delete b"]);
        equal(await keys(clone, { against: snapshot }), ["delete b"], "a snapshot serves more than once");
        await snapshot.close();
        await promises(api, () => origin.diff().toArray(), "NOT_A_CLONE");
        const sibling = await origin.clone("sibling");
        equal(await keys(sibling, { against: clone }), ["update a", "insert b", "update c"]);
        await sibling.close();
      }),
  },
  {
    // C11
    name: "a long diff is read in pages, of one point in time",
    run: (api) =>
      withStore(api, async (db) => {
        const id = (n) => `r${String(n).padStart(4, "0")}`;
        await db.collection("rows").insertMany(Array.from({ length: 2500 }, (_, n) => ({ id: id(n), n })));
        const clone = await db.clone("copy");
        await clone.collection("rows").putMany(Array.from({ length: 2500 }, (_, n) => ({ id: id(n), n: n + 1 })));
        const seen = [];
        for await (const change of clone.diff()) {
          if (seen.length === 5) await clone.collection("rows").deleteMany([id(10), id(2499)]);
          equal(change.op, "update");
          seen.push(change.key);
        }
        equal(
          seen,
          Array.from({ length: 2500 }, (_, n) => id(n)),
        );
        await clone.close();
      }),
  },
  {
    name: "wrong options of clone, at and diff are INVALID_OPTION",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        for (const options of [
          null,
          5,
          { at: 5 },
          { at: new Date(NaN) },
          { existing: "replace" },
          { materialise: true },
        ]) {
          await promises(api, () => clone.clone("x", options), "INVALID_OPTION");
        }
        for (const when of [undefined, null, 5, new Date(NaN), {}])
          await promises(api, () => clone.at(when), "INVALID_OPTION");
        for (const options of [{ against: 5 }, { against: {} }, { colection: "x" }, { at: 1 }, { signal: {} }]) {
          await throws(api, () => clone.diff(options), "INVALID_OPTION");
        }
        await withStore(api, (other) => throws(api, () => clone.diff({ against: other }), "INVALID_OPTION"));
        equal((await origin.databases()).length, 2);
        const abort = new AbortController();
        abort.abort("enough");
        const error = await promises(api, () => clone.diff({ signal: abort.signal }).toArray(), "ABORTED");
        equal(error.cause, "enough");
      }),
  },
  {
    name: "writing to a snapshot is refused and changes nothing",
    run: (api) =>
      withClone(api, async (clone) => {
        const before = await contents(clone);
        const snapshot = await clone.at(clone.version);
        for (const write of [
          () => snapshot.collection("notes").insert({}),
          () => snapshot.collection("notes").update("a", { n: 1 }),
          () => snapshot.collection("notes").delete("a"),
          () => snapshot.kv().set("a", 1),
          () => snapshot.kv().setField("a", "n", 1),
          () => snapshot.kv().delete("a"),
        ]) {
          const error = await write().then(
            () => undefined,
            (caught) => caught,
          );
          ok(api.OffshootError.is(error) && error.code !== "INTERNAL", `got ${error?.code ?? "no error"}`);
        }
        equal(await contents(snapshot), before);
        await snapshot.close();
        await snapshot.close();
        await promises(api, () => snapshot.kv().get("a"), "CLOSED");
        equal(await contents(clone), before);
      }),
  },
];
