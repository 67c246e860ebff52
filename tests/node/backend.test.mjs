// A backend of the user's own, as offshoot.d.ts describes it: named records in guarded batches, and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, OffshootError, destroy } from "../../pkg/dist/node.js";

/** Records in a Map: several backends on one Map are several processes on one disk. */
function backendOn(records, { pause = async () => undefined } = {}) {
  const at = (space, name) => `${space} ${name}`;
  let isClosed = false;
  const check = () => {
    if (isClosed) throw new Error("it is closed");
  };
  return {
    contract: 1,
    async read(space, names) {
      check();
      await pause();
      return names.map((name) => records.get(at(space, name)));
    },
    async list(space, { from = "", before, limit }) {
      check();
      await pause();
      const names = [...records.keys()].filter((key) => key.startsWith(`${space} `));
      const listed = names.map((key) => key.slice(space.length + 1)).sort();
      const inRange = listed.filter((name) => name >= from && (before === undefined || name < before));
      return inRange.slice(0, limit).map((name) => [name, records.get(at(space, name))]);
    },
    async write(batch) {
      check();
      await pause();
      const isThere = ([space, name]) => records.has(at(space, name));
      if (batch.absent.some(isThere) || !batch.present.every(isThere)) return false;
      for (const [space, name] of batch.delete) records.delete(at(space, name));
      for (const [space, name, bytes] of batch.put) records.set(at(space, name), bytes);
      return true;
    },
    async close() {
      isClosed = true;
    },
  };
}

const soon = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 2));

test("a store on a backend of the user's own is there again after it was closed", async () => {
  const records = new Map();
  const db = await open("own", { storage: backendOn(records) });
  assert.equal(db.storageMode, "custom");
  await db.collection("notes").insertMany(Array.from({ length: 300 }, (_, n) => ({ id: `n${n}`, n })));
  const draft = await db.clone("draft");
  await draft.collection("notes").delete("n7");
  await Promise.all([draft.close(), db.close()]);
  const again = await open("own", { storage: backendOn(records) });
  assert.equal(await again.collection("notes").count(), 300);
  const kept = await again.database("draft");
  assert.equal(await kept.collection("notes").count(), 299);
  await Promise.all([kept.close(), again.close()]);
  await destroy("own", { storage: backendOn(records) });
  assert.equal(records.size, 0);
});

test("a temporary clone of one process is let be by another one on the same backend", async () => {
  const records = new Map();
  const one = await open("one", { storage: backendOn(records) });
  const draft = await one.clone();
  await draft.collection("notes").insert({ id: "a" });
  const other = await open("other", { storage: backendOn(records) });
  const names = async () => (await other.databases()).length;
  assert.equal(await names(), 2);
  await new Promise((done) => setTimeout(done, 200));
  assert.equal(await names(), 2);
  assert.equal(await draft.collection("notes").count(), 1);
  await draft.close();
  await Promise.all([one.close(), other.close()]);
});

test("two processes on one backend lose no increment, and a failed call says so", async () => {
  const records = new Map();
  const stores = await Promise.all(
    ["one", "other"].map((name) => open(name, { storage: backendOn(records, { pause: soon }) })),
  );
  await stores[0].collection("counters").insert({ id: "a", n: 0 });
  const calls = stores.flatMap((db) =>
    Array.from({ length: 40 }, () => db.collection("counters").update("a", { $inc: { n: 1 } })),
  );
  assert.ok((await Promise.all(calls)).every((updated) => updated === true));
  for (const db of stores) {
    await db.collection("counters").insert({});
    assert.deepEqual(await db.collection("counters").get("a"), { id: "a", n: 80 });
    await db.close();
  }
  const broken = { ...backendOn(new Map()), list: async () => "nothing of the kind" };
  await assert.rejects(open("broken", { storage: broken }), (error) => {
    return OffshootError.is(error, "STORAGE_UNAVAILABLE") && error.message.includes("contract");
  });
});
