// Calls that must cost little however much is stored. The storage is one of Maps whose reads are counted: a count is
// the same on every machine.
import * as offshoot from "offshoot";
import { backendOn, makeDisk } from "../../tools/map-backend.mjs";
import { timed } from "./compared.mjs";
import { makeDocuments } from "./documents.mjs";
import { wasmBytes } from "./memory-watch.mjs";
import { open as openIndexed } from "./offshoot.mjs";

const BATCH = 10_000;
const CACHE_BYTES = 1024 * 1024;
const READS = ["read", "list", "names", "log"];

/** A store on a disk of Maps, and how often it has read since it was opened. */
async function open(disk) {
  const counts = { reads: 0 };
  const told = (call) => (counts.reads += READS.includes(call) ? 1 : 0);
  const db = await offshoot.open("counted", {
    storage: backendOn(disk, { told }),
    cacheBytes: CACHE_BYTES,
    history: { retain: 0 },
  });
  counts.reads = 0;
  return { db, counts, documents: db.collection("documents") };
}

/** A disk with so many documents, all in runs, and their ids. */
async function fill(count) {
  const disk = makeDisk();
  const { db, documents } = await open(disk);
  const ids = [];
  for (let from = 0; from < count; from += BATCH) {
    const batch = makeDocuments(Math.min(BATCH, count - from), from);
    ids.push(...batch.map(({ id }) => id));
    await documents.insertMany(batch);
  }
  await db.compact();
  await db.close();
  return { disk, ids };
}

const scattered = (ids, count) => Array.from({ length: count }, (_, n) => ids[(n * 7919) % ids.length]);

/** Reads 1,000 cold documents by their ids, and then 2,000. */
async function manyIds(disk, ids) {
  const costs = {};
  for (const [what, count] of [["many", 1000], ["twice", 2000]]) {
    const { db, counts, documents } = await open(disk);
    const { took, value } = await timed(() => documents.getMany(scattered(ids, count)));
    if (value.some((found) => found === undefined)) throw new Error("a document is missing");
    costs[what] = { took, reads: counts.reads };
    await db.close();
  }
  return { manyReads: costs.many.reads, twice: costs.twice.took / costs.many.took };
}

/** The commit of a transaction that has read all ids, while others committed. */
async function validation(disk, ids) {
  const { db, counts, documents } = await open(disk);
  let [ended, reads] = [0, 0];
  await db.transaction(async (tx) => {
    for (let from = 0; from < ids.length; from += BATCH) {
      await tx.collection("documents").getMany(ids.slice(from, from + BATCH));
    }
    for (let n = 0; n < 100; n++) await documents.insert({ id: `new ${n}` });
    await tx.collection("documents").insert({ id: "mine" });
    [ended, reads] = [performance.now(), counts.reads];
  });
  const costs = { validationTook: performance.now() - ended, validationReads: counts.reads - reads };
  await documents.deleteMany(["mine", ...Array.from({ length: 100 }, (_, n) => `new ${n}`)]);
  await db.close();
  return costs;
}

/** The rebase of a clone that is older than all history, over twenty changed documents. */
async function oldRebase({ disk, ids }) {
  const filled = await open(disk);
  const draft = await filled.db.clone("old");
  await draft.collection("documents").update(ids[1], { $set: { title: "mine" } });
  const step = Math.floor(ids.length / 20);
  for (let n = 0; n < ids.length; n += step) await filled.documents.update(ids[n], { $set: { title: "theirs" } });
  await filled.db.compact();
  await draft.close();
  await filled.db.close();
  const { db, counts } = await open(disk);
  const old = await db.database("old");
  counts.reads = 0;
  await old.rebase();
  const { reads } = counts;
  const [own, changed] = await old.collection("documents").getMany([ids[1], ids[step]]);
  if (own.title !== "mine" || changed.title !== "theirs") throw new Error("a rebase has lost a change");
  await old.drop();
  await db.close();
  return reads;
}

/** A thousand databases, listed by a tab that has just opened the store. */
async function listing() {
  const disk = makeDisk();
  const made = await open(disk);
  for (let n = 1; n < 1000; n++) await (await made.db.clone(`clone-${n}`)).close();
  await made.db.compact();
  await made.db.close();
  const { db, counts } = await open(disk);
  const { took, value } = await timed(() => db.databases());
  if (value.length !== 1000) throw new Error(`there are ${value.length} databases, not 1000`);
  await db.close();
  return { listedReads: counts.reads, listed: took };
}

/** The costs of these calls, in reads of the storage and in milliseconds. */
export async function countedCosts({ count }) {
  const [large, small] = [await fill(count), await fill(count / 4)];
  const many = await manyIds(large.disk, large.ids);
  const validated = await validation(large.disk, large.ids);
  const [rebaseReads, smallRebaseReads] = [await oldRebase(large), await oldRebase(small)];
  return { ...many, ...validated, rebaseReads, smallRebaseReads, ...(await listing()) };
}

/** By how much wasm memory grows while a store is compacted whose blocks are all cold. */
export async function compactionGrowth({ name, cacheBytes }) {
  const { db, close } = await openIndexed(name, "relaxed", { cacheBytes });
  const before = wasmBytes();
  await db.compact();
  const grown = wasmBytes() - before;
  await close();
  return grown;
}
