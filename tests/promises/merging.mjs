// SEMANTICS C12, C13, C15 and W12 from JavaScript.
import { equal, ok, promises, rejects } from "./assert.mjs";
import { contents, withClone, withStore } from "./harness.mjs";

const ids = (changes) => changes.map(({ collection, key }) => `${collection}/${key}`);

/** A clone and its origin that changed the same and other things. */
async function withBothChanged(api, body) {
  await withClone(api, async (clone, origin) => {
    await clone.collection("notes").update("a", { text: "clone", n: 10 });
    await clone.collection("notes").delete("b");
    await clone.kv().set("a", { n: 0, text: "clone", at: new Date(5) });
    await origin.collection("notes").update("a", { text: "origin", tags: ["x"] });
    await origin.collection("notes").update("b", { text: "origin" });
    await origin.kv().setField("a", "text", "origin");
    await body(clone, origin);
  });
}

const conflicts = [
  {
    reason: "field",
    collection: "kv",
    kind: "kv",
    key: "a",
    field: "text",
    base: "a",
    clone: "clone",
    origin: "origin",
  },
  {
    reason: "field",
    collection: "notes",
    kind: "documents",
    key: "a",
    field: "text",
    base: "A",
    clone: "clone",
    origin: "origin",
  },
  {
    reason: "row",
    collection: "notes",
    kind: "documents",
    key: "b",
    base: { id: "b", text: "B", n: 1, tags: ["b"] },
    origin: { id: "b", text: "origin", n: 1, tags: ["b"] },
  },
];

export const cases = [
  {
    // C12
    name: "a merge brings a clone's changes into its origin, in one commit",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").update("a", { text: "new", "deep.path": 1n });
        await clone.collection("notes").delete("b");
        await clone.collection("notes").insert({ id: "d", at: new Date(7), bytes: new Uint8Array([1, 2]) });
        await clone.kv().delete("c");
        await origin.collection("notes").update("a", { tags: ["theirs"] });
        const report = await clone.merge();
        const { outcome, inserted, updated, deleted, conflicts, version } = report;
        equal([outcome, inserted, updated, deleted, conflicts], ["merged", 1, 1, 2, []]);
        equal(version, origin.version);
        equal(await origin.collection("notes").get("a"), {
          id: "a",
          text: "new",
          n: 0,
          tags: ["theirs"],
          deep: { path: 1n },
        });
        equal(await contents(clone), await contents(origin));
        equal(await clone.diff().toArray(), []);
        equal((await clone.merge()).outcome, "nothing");
        await promises(api, () => origin.merge(), "NOT_A_CLONE");
      }),
  },
  {
    // C12
    name: "conflicts are all listed, with base, clone and origin, and nothing is written",
    run: (api) =>
      withBothChanged(api, async (clone, origin) => {
        const before = [await contents(clone), await contents(origin), origin.version];
        const { details } = await promises(api, () => clone.merge(), "MERGE_CONFLICT");
        equal(details.conflicts, conflicts);
        const dry = await clone.merge({ dryRun: true });
        equal([dry.outcome, dry.conflicts], ["conflict", conflicts]);
        equal([await contents(clone), await contents(origin), origin.version], before);
      }),
  },
  {
    // C12
    name: "a policy is a side, a value, or a function that may await anything",
    run: (api) =>
      withBothChanged(api, async (clone, origin) => {
        const seen = [];
        const report = await clone.merge({
          onConflict: async (conflict) => {
            await new Promise((done) => setTimeout(done));
            seen.push(conflict);
            if (conflict.reason === "row") return { value: { id: "b", settled: true } };
            return conflict.kind === "kv" ? { value: undefined } : "origin";
          },
        });
        equal(seen, conflicts);
        equal([report.outcome, report.conflicts], ["merged", conflicts]);
        equal(await origin.collection("notes").get("a"), { id: "a", text: "origin", n: 10, tags: ["x"] });
        equal(await origin.collection("notes").get("b"), { id: "b", settled: true });
        equal(await origin.kv().get("a"), { n: 0, at: new Date(5) });
        equal(await contents(clone), await contents(origin));
      }),
  },
  {
    name: "an error of a policy or a selection is thrown on unchanged, and nothing is written",
    run: (api) =>
      withBothChanged(api, async (clone, origin) => {
        const { version } = origin;
        const mine = new RangeError("mine");
        const thrower = async () => {
          throw mine;
        };
        for (const work of [
          () => clone.merge({ onConflict: thrower }),
          () => clone.merge({ only: thrower }),
          () => clone.rebase({ onConflict: thrower }),
          () => clone.reset({ only: thrower }),
        ]) {
          equal(await work().then(() => "done", (error) => error === mine), true);
        }
        await promises(api, () => clone.merge({ onConflict: "mine" }), "INVALID_OPTION");
        await promises(api, () => clone.merge({ onConflict: () => "mine" }), "INVALID_OPTION");
        await promises(api, () => clone.merge({ only: () => 1 }), "INVALID_OPTION");
        await promises(api, () => clone.merge({ onConflict: { value: () => 1 } }), "INVALID_VALUE");
        await promises(api, () => clone.merge({ unknown: true }), "INVALID_OPTION");
        await promises(api, () => clone.revert(7), "INVALID_OPTION");
        const row = ({ reason }) => (reason === "row" ? { value: 5 } : "clone");
        await promises(api, () => clone.merge({ onConflict: row }), "INVALID_VALUE");
        const controller = new AbortController();
        const abort = () => {
          controller.abort(mine);
          return "clone";
        };
        const aborted = await promises(
          api,
          () => clone.merge({ onConflict: abort, signal: controller.signal }),
          "ABORTED",
        );
        equal(aborted.cause === mine, true);
        equal(origin.version, version);
      }),
  },
  {
    // C12
    name: "a selection is merged, and the rest stays the clone's change",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").update("a", { text: "new", n: 10 });
        await clone.collection("notes").update("b", { text: "new" });
        const seen = [];
        const only = (change) => {
          seen.push([change.op, change.key, change.fields]);
          return change.key === "a" ? ["text"] : false;
        };
        const report = await clone.merge({ only });
        equal(seen, [
          ["update", "a", ["text", "n"]],
          ["update", "b", ["text"]],
        ]);
        equal([report.outcome, report.updated], ["merged", 1]);
        equal(await origin.collection("notes").get("a"), { id: "a", text: "new", n: 0, tags: ["a"] });
        const left = await clone.diff().toArray();
        equal(
          left.map(({ key, fields }) => [key, fields]),
          [
            ["a", ["n"]],
            ["b", ["text"]],
          ],
        );
        await clone.collection("notes").update("b", { at: { x: 1 } });
        await promises(api, () => clone.merge({ only: () => ["at.x"] }), "INVALID_OPTION");
        await clone.reset({ only: async ({ key }) => key === "b" });
        equal(ids(await clone.diff().toArray()), ["notes/a"]);
        await clone.reset();
        equal(await contents(clone), await contents(origin));
      }),
  },
  {
    // C12
    name: "a merge, rebase or reset that waits for a policy or a selection is CLOSED with the handle",
    run: (api) =>
      withStore(api, async (db) => {
        const never = () => new Promise(() => undefined);
        const works = [
          (clone) => clone.merge({ onConflict: never }),
          (clone) => clone.merge({ only: never }),
          (clone) => clone.rebase({ onConflict: never }),
          (clone) => clone.reset({ only: never }),
        ];
        const ends = [(clone) => clone.close(), (clone) => clone.drop()];
        for (const [work, end] of works.flatMap((work) => ends.map((end) => [work, end]))) {
          await db.kv().set("n", 1);
          const clone = await db.clone();
          await clone.kv().set("n", 2);
          await db.kv().set("n", 3);
          const settled = rejects(api, work(clone), "CLOSED");
          await new Promise((resolve) => setTimeout(resolve, 5));
          await end(clone);
          await settled;
          equal(await db.kv().get("n"), 3);
        }
      }),
  },
  {
    // C12
    name: "the value that settles a document's conflict keeps the document's id",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").delete("a");
        await origin.collection("notes").update("a", { n: 5 });
        const by = (value) => clone.merge({ onConflict: () => ({ value }) });
        const { details } = await promises(api, () => by({ id: "b", n: 7 }), "INVALID_VALUE");
        equal(details, { path: "id", outcome: "none" });
        equal((await origin.collection("notes").get("a")).n, 5);
        await by({ id: "a", n: 7 });
        equal(await origin.collection("notes").get("a"), { id: "a", n: 7 });
      }),
  },
  {
    // C12
    name: "a clone is merged as it was reviewed",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").update("a", { text: "reviewed" });
        const at = clone.version;
        await clone.collection("notes").update("a", { text: "later" });
        await clone.collection("notes").insert({ id: "z" });
        equal((await clone.merge({ at })).updated, 1);
        equal((await origin.collection("notes").get("a")).text, "reviewed");
        equal(await origin.collection("notes").get("z"), undefined);
        equal(ids(await clone.diff().toArray()), ["notes/a", "notes/z"]);
        await promises(api, () => clone.merge({ at }), "INVALID_OPTION");
      }),
  },
  {
    // C12
    name: "increments of both sides add up",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        for (const db of [clone, origin]) {
          await db.transaction(async (tx) => {
            await tx.collection("notes").update("a", { $inc: { n: 2 } });
            await tx.collection("notes").update("a", { $inc: { n: 3, "views.total": 1 } });
          });
        }
        equal((await clone.merge()).conflicts, []);
        const { n, views } = await origin.collection("notes").get("a");
        equal([n, views], [10, { total: 2 }]);
      }),
  },
  {
    // C13
    name: "a rebase moves a clone onto its origin's present, under its own changes",
    run: (api) =>
      withBothChanged(api, async (clone, origin) => {
        const before = await contents(origin);
        await promises(api, () => clone.rebase(), "MERGE_CONFLICT");
        const report = await clone.rebase({ onConflict: "clone" });
        equal([report.outcome, report.conflicts], ["merged", conflicts]);
        equal(await clone.collection("notes").get("a"), { id: "a", text: "clone", n: 10, tags: ["x"] });
        equal(await contents(origin), before);
        equal(ids(await clone.diff().toArray()), ["kv/a", "notes/a", "notes/b"]);
        const [own] = await clone.lineage();
        ok(own.asOf > own.createdVersion, "it stands on a later point");
        await promises(api, () => clone.rebase({ to: own.createdVersion }), "INVALID_OPTION");
        equal((await clone.rebase()).outcome, "nothing");
      }),
  },
  {
    // C15
    name: "commits are undone and done again, beside what came later",
    run: (api) =>
      withStore(api, async (db) => {
        const notes = db.collection("notes");
        await notes.insertMany([{ id: "a", n: 1, text: "x" }, { id: "b" }]);
        const versions = [];
        const onCommit = (version) => versions.push(version);
        await db.transaction(
          async (tx) => {
            await tx.collection("notes").update("a", { text: "y" });
            await tx.collection("notes").delete("b");
          },
          { onCommit },
        );
        await notes.update("a", { n: 5 });
        const undo = await db.revert(versions[0]);
        equal([undo.outcome, undo.inserted, undo.updated], ["merged", 1, 1]);
        equal(await notes.find().toArray(), [{ id: "a", n: 5, text: "x" }, { id: "b" }]);
        await db.revert([undo.version]);
        equal(await notes.find().toArray(), [{ id: "a", n: 5, text: "y" }]);
        await notes.update("a", { text: "z" });
        const { details } = await promises(api, () => db.revert(versions), "MERGE_CONFLICT");
        equal(details.conflicts, [
          { ...conflicts[1], base: "y", clone: "z", origin: "x" },
        ]);
        equal((await db.revert(versions, { onConflict: "clone" })).outcome, "merged");
        const { version } = db;
        const again = await db.revert(versions, { onConflict: "clone" });
        equal([again.outcome, again.conflicts.length, db.version], ["nothing", 1, version], "nothing to redo");
        equal(await notes.find().toArray(), [{ id: "a", n: 5, text: "z" }, { id: "b" }]);
      }),
  },
  {
    // C15, R6
    name: "a restore makes the present equal a past, and keeps the present as a clone",
    run: (api) =>
      withStore(api, async (db) => {
        const notes = db.collection("notes");
        await notes.insertMany([{ id: "a", n: 1 }, { id: "b" }]);
        await db.kv().set("k", null);
        const then = db.version;
        const before = await contents(db);
        await notes.update("a", { n: 2 });
        await notes.delete("b");
        await db.kv().delete("k");
        const now = await contents(db);
        const present = db.version;
        await db.restore(then, { keepAs: "kept" });
        equal(await contents(db), before);
        const kept = await db.database("kept");
        equal(await contents(kept), now);
        await kept.close();
        await promises(api, () => db.restore(present, { keepAs: "kept" }), "DATABASE_EXISTS");
        await db.restore(present);
        equal(await contents(db), now);
        await promises(api, () => db.restore("yesterday"), "INVALID_OPTION");
      }),
  },
  {
    // W12
    name: "a transaction over a merge, a rebase, a reset and a restore runs again",
    run: (api) =>
      withClone(api, async (clone) => {
        await clone.collection("notes").update("a", { n: 1 });
        const then = clone.version;
        for (const move of [
          () => clone.reset({ only: ({ key }) => key === "b" }),
          () => clone.rebase(),
          () => clone.merge(),
          () => clone.restore(then),
          () => clone.reset(),
        ]) {
          await clone.collection("notes").update("b", { n: Math.random() });
          let runs = 0;
          await clone.transaction(async (tx) => {
            runs += 1;
            await tx.collection("notes").get("c");
            if (runs === 1) await move();
            await tx.collection("notes").put({ id: "out", runs });
          });
          // A rebase onto the point where it stands is none.
          ok(runs <= 2);
          equal(await clone.collection("notes").get("out"), { id: "out", runs });
        }
      }),
  },
];
