// A store with a clone over it, changed in every way that a clone can be, and everything as it must read ever after.
import { equal } from "/tests/promises/assert.mjs";

/** Enough rows that the store moves them from its log into blocks. */
const bulk = 1500;
const text = "0123456789".repeat(100);

/** More than one record of storage holds, with every kind of value in it. */
const large = {
  bytes: Uint8Array.from({ length: 150_000 }, (_, n) => (n * 7) % 256),
  kinds: [null, true, -0, 0.1, 12_345_678_901_234_567_890n, "ü\u{1f331}", new Date(86_400_000), new Uint8Array(0)],
};

const rows = ["changed", "deleted", "kept"];
const before = rows.map((id) => ({ id, n: 1, tags: [id] }));

/** Writes the origin, and a clone that has everything of it. */
export async function prepare(db) {
  await db.collection("bulk").insertMany(Array.from({ length: bulk }, (_, n) => ({ id: `${n}`, n, text })));
  await db.collection("large").insert({ id: "large", ...large });
  await db.collection("notes").insertMany(before);
  await db.kv().setMany(rows.map((key) => [key, { n: 1 }]));
  await (await db.clone("draft")).close();
}

/** Copies up, deletes, inserts and replaces in the clone: each act as a call of its own, or all in one transaction. */
export async function change(db, how) {
  const draft = await db.database("draft");
  const work = async (scope) => {
    const [notes, kv] = [scope.collection("notes"), scope.kv()];
    equal(await notes.update("changed", { $inc: { n: 1 } }), true);
    equal(await notes.delete("deleted"), true);
    equal(await notes.delete("deleted"), false);
    equal(await notes.update("deleted", { n: 3 }), false);
    await notes.insert({ id: "added", n: 2 });
    await kv.setField("changed", "more", "field");
    equal(await kv.deleteMany(["deleted", "nowhere"]), 1);
    await kv.set("added", { n: 2 });
    equal(await scope.collection("bulk").update("7", { text: "short" }), true);
    equal(await scope.collection("bulk").deleteMany(["8", "9", "nowhere"]), 2);
  };
  if (how === "transaction") await draft.transaction(work);
  else await work(draft);
  await (await draft.clone("grandchild")).close();
  await draft.close();
}

/** Every way of reading gives the same: rows by id, several of them, a scan, a count; entries alike. */
async function reads(db, notes, entries, bulkRows) {
  const documents = db.collection("notes");
  equal(await documents.find().toArray(), notes, db.name);
  equal(await documents.count(), notes.length, db.name);
  const ids = ["added", ...rows];
  const byId = ids.map((id) => notes.find((row) => row.id === id));
  equal(await documents.getMany(ids), byId, db.name);
  for (const [at, id] of ids.entries()) equal(await documents.get(id), byId[at], db.name);
  equal(await db.kv().list().toArray(), entries, db.name);
  equal(await db.kv().count(), entries.length, db.name);
  for (const key of ids) {
    const entry = entries.find(([name]) => name === key);
    equal([await db.kv().get(key), await db.kv().has(key)], [entry?.[1], entry !== undefined], db.name);
  }
  equal(await db.collection("bulk").count(), bulkRows, db.name);
  equal(await db.collection("large").get("large"), { id: "large", ...large }, db.name);
}

const after = {
  notes: [{ id: "added", n: 2 }, { ...before[0], n: 2 }, before[2]],
  entries: [["added", { n: 2 }], ["changed", { n: 1, more: "field" }], ["kept", { n: 1 }]],
};

const differences = [
  { kind: "documents", collection: "bulk", key: "7", op: "update" },
  { kind: "documents", collection: "bulk", key: "8", op: "delete" },
  { kind: "documents", collection: "bulk", key: "9", op: "delete" },
  { kind: "kv", collection: "kv", key: "added", op: "insert" },
  { kind: "kv", collection: "kv", key: "changed", op: "update" },
  { kind: "kv", collection: "kv", key: "deleted", op: "delete" },
  { kind: "documents", collection: "notes", key: "added", op: "insert" },
  { kind: "documents", collection: "notes", key: "changed", op: "update" },
  { kind: "documents", collection: "notes", key: "deleted", op: "delete" },
];

/** The origin is as it was, its clone as it was changed, and the clone's clone like it. */
export async function check(db) {
  equal(db.storageMode, "indexeddb");
  await reads(db, before, rows.map((key) => [key, { n: 1 }]), bulk);
  const draft = await db.database("draft");
  const grandchild = await db.database("grandchild");
  for (const clone of [draft, grandchild]) await reads(clone, after.notes, after.entries, bulk - 2);
  const told = (await draft.diff().toArray()).map(({ kind, collection, key, op }) => ({ kind, collection, key, op }));
  equal(told, differences);
  equal(await grandchild.diff().toArray(), []);
  await draft.close();
  await grandchild.close();
  const { blocks } = await db.stats();
  if (blocks === 0) throw new Error("everything lay in the log, and no block was read");
}
