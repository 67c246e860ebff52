// SEMANTICS C6, C7, C8, C10 and C15 from JavaScript: clones that become roots, clones that go, space that comes back.
import { equal, ok, promises } from "./assert.mjs";
import { contents, withClone, withStore } from "./harness.mjs";

const names = async (db) => (await db.databases()).map(({ name }) => name);

/** Asks again until it is so. */
async function until(holds) {
  for (let tries = 0; tries < 500; tries++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not come about in ten seconds");
}

export const cases = [
  {
    // C6
    name: "a materialized clone is a root of its own, and holds what it held",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").delete("a");
        const grandchild = await clone.clone("grandchild");
        await clone.collection("notes").update("b", { n: 20 });
        const [before, below] = [await contents(clone), await contents(grandchild)];
        const told = [];
        const status = await clone.materialize({ onProgress: (progress) => told.push(progress) });
        equal(status, { state: "materialized" });
        ok(told.length > 0 && told.every(({ rowsDone, bytesDone }) => rowsDone >= 0 && bytesDone >= 0));
        equal([await contents(clone), await contents(grandchild)], [before, below]);
        equal((await clone.lineage()).length, 1);
        equal(await clone.status(), { state: "materialized" });
        equal((await origin.databases()).find(({ name }) => name === "main").dependents, []);
        await origin.collection("notes").deleteMany(["a", "b", "c"]);
        equal([await contents(clone), await contents(grandchild)], [before, below]);
        await promises(api, () => clone.diff().toArray(), "NOT_A_CLONE");
        equal(await clone.materialize(), { state: "materialized" });
        equal(await origin.materialize(), { state: "root" });
        await grandchild.close();
      }),
  },
  {
    // C6
    name: "a signal ends a materialization, and a later call finishes it",
    run: (api) =>
      withClone(api, async (clone) => {
        const before = await contents(clone);
        const reason = new Error("enough");
        const late = await promises(api, () => clone.materialize({ signal: AbortSignal.abort(reason) }), "ABORTED");
        ok(late.cause === reason);
        const controller = new AbortController();
        const onProgress = () => controller.abort(reason);
        const options = { signal: controller.signal, onProgress };
        const error = await promises(api, () => clone.materialize(options), "ABORTED");
        ok(error.cause === reason);
        ok((await clone.status()).state !== "materialized");
        equal(await contents(clone), before);
        equal(await clone.materialize(), { state: "materialized" });
        equal(await contents(clone), before);
      }),
  },
  {
    // C6
    name: "an error of onProgress is thrown on unchanged, and the work can be done again",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const thrown = new Error("mine");
        const onProgress = () => {
          throw thrown;
        };
        const caught = await clone.materialize({ onProgress }).catch((error) => error);
        ok(caught === thrown);
        const later = async () => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          throw thrown;
        };
        const other = await origin.clone("other");
        ok((await other.materialize({ onProgress: later }).catch((error) => error)) === thrown, "it may be async");
        await other.close();
        equal((await clone.materialize()).state, "materialized");
        await promises(api, () => clone.materialize({ onProgress: 1 }), "INVALID_OPTION");
        await promises(api, () => clone.materialize({ signal: "now" }), "INVALID_OPTION");
        await promises(api, () => clone.materialize({ force: true }), "INVALID_OPTION");
      }),
  },
  {
    // C8
    name: "a forced drop leaves the clones of a database whole",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").update("a", { text: "own" });
        const [one, two] = [await clone.clone("one"), await clone.clone("two")];
        await one.collection("notes").delete("b");
        const before = [await contents(one), await contents(two)];
        const { details } = await promises(api, () => clone.drop(), "CLONE_DEPENDENCY");
        equal([...details.dependents].sort(), ["one", "two"]);
        await promises(api, () => clone.drop({ force: "yes" }), "INVALID_OPTION");
        await clone.drop({ force: true });
        equal((await names(origin)).sort(), ["main", "one", "two"]);
        equal([await contents(one), await contents(two)], before);
        equal((await one.status()).state, "materialized");
        await promises(api, () => clone.collection("notes").count(), "CLOSED");
        await promises(api, () => origin.drop({ force: true }), "NOT_A_CLONE");
        await Promise.all([one.close(), two.close()]);
      }),
  },
  {
    // C7
    name: "a clone is materialized in the background when that is asked for",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const behind = await origin.clone("behind", { materialize: "background" });
        await behind.collection("notes").insert({ id: "own" });
        await until(async () => (await behind.status()).state === "materialized");
        equal((await behind.lineage()).length, 1);
        const again = await origin.clone("behind", { existing: "open" });
        equal(again.name, "behind", "it is still a clone of this one by birth");
        await again.close();
        await promises(api, () => clone.clone("behind", { existing: "open" }), "DATABASE_EXISTS");
        equal(await behind.collection("notes").count(), 4);
        const never = await origin.clone("never", { materialize: "never" });
        equal(await never.status(), { state: "shadowed" });
        await promises(api, () => origin.clone("x", { materialize: "now" }), "INVALID_OPTION");
        await Promise.all([behind.close(), never.close()]);
      }),
  },
  {
    // C15
    name: "a clone without a name goes with its last handle",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const draft = await origin.clone();
        const again = await origin.database(draft.name);
        await draft.close();
        equal(await again.collection("notes").count(), 3);
        equal((await names(origin)).length, 3);
        await again.close();
        equal((await names(origin)).sort(), ["draft", "main"]);
        const needed = await origin.clone();
        const kept = await needed.clone("kept");
        await needed.close();
        equal(await kept.collection("notes").count(), 3);
        await kept.close();
      }),
  },
  {
    // C15
    name: "a clone says when its time is up, and what is no length of time is refused",
    run: (api) =>
      withStore(api, async (db) => {
        const clone = await db.clone("short", { ttl: "2h" });
        const infos = await db.databases();
        const { createdAt, expiresAt } = infos.find(({ name }) => name === "short");
        equal(expiresAt.getTime() - createdAt.getTime(), 2 * 60 * 60 * 1000);
        equal(infos.find(({ name }) => name === "main").expiresAt, undefined);
        const endless = await db.clone("endless", { ttl: Infinity });
        equal((await db.databases()).find(({ name }) => name === "endless").expiresAt, undefined);
        for (const ttl of [-1, NaN, "soon", "1 h", null, {}, new Date()]) {
          await promises(api, () => db.clone("bad", { ttl }), "INVALID_OPTION");
        }
        await Promise.all([clone.close(), endless.close()]);
      }),
  },
  {
    // C10
    name: "deleted rows give their space back",
    run: (api) =>
      withStore(
        api,
        async (db) => {
          const rows = db.collection("rows");
          const text = () => Array.from({ length: 8 }, () => Math.random().toString(36)).join("");
          const ids = Array.from({ length: 3000 }, (_, n) => `r${n}`);
          await rows.insertMany(ids.map((id) => ({ id, text: text() })));
          await db.compact();
          const full = await db.stats();
          await rows.deleteMany(ids);
          const deleted = await db.stats();
          ok(deleted.liveBytes <= full.liveBytes);
          await db.compact();
          const after = await db.stats();
          ok(after.blockBytes * 20 <= full.blockBytes && after.logBytes < 10_000, JSON.stringify([full, after]));
          equal(await rows.count(), 0);
        },
        { history: { retain: 0 } },
      ),
  },
];
