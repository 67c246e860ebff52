// The costs of clones, in time and in bytes. Offshoot alone has clones.
import { timed } from "./compared.mjs";
import { draw, makeDocument, makeDocuments, verify } from "./documents.mjs";
import { destroy, open, prepare, rest } from "./offshoot.mjs";

const CLONES = 20;
const DEPTH = 8;
const DEPTHS = [0, 1, 4, DEPTH];
const READS = 20_000;
/** A checkpoint comes when the log has more records than this. */
const LOG_ENTRIES = 2000;
const PATIENCE = 60_000;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const storedBytes = ({ logBytes, blockBytes }) => logBytes + blockBytes;

/** Writes small commits until the log has been moved into a run, and waits until that is done. */
export async function checkpoint(db) {
  const { blockBytes } = await db.stats();
  for (let commit = 0; commit <= LOG_ENTRIES; commit++) await db.kv("ticks").set(commit % 10, commit);
  const until = performance.now() + PATIENCE;
  for (;;) {
    const stats = await db.stats();
    if (stats.blockBytes > blockBytes && stats.logEntries < LOG_ENTRIES) return;
    if (performance.now() > until) throw new Error(`no checkpoint came. stats=${JSON.stringify(stats)}`);
    await pause(50);
  }
}

/** Fills a store, with its log moved into a run or as it is, and leaves it closed. */
export async function fillStore({ name, count, checkpointed }) {
  await prepare();
  const store = await open(name, "relaxed");
  await store.bulkInsert(makeDocuments(count));
  if (checkpointed) await checkpoint(store.db);
  const stats = await store.db.stats();
  await store.close();
  return stats;
}

/** Milliseconds that one clone takes, each of its own, and the bytes that one adds. */
export async function cloneCosts({ name, count, round }) {
  await prepare();
  const store = await open(name, "relaxed");
  const document = makeDocument(0);
  const before = await store.db.stats();
  const times = [];
  for (let number = 0; number < CLONES; number++) {
    const { took, value: clone } = await timed(() => store.db.clone(`clone-${round}-${number}`));
    times.push(took);
    verify(name, [await clone.collection("documents").get(document.id)], [document]);
    if ((await clone.collection("documents").count()) !== count) throw new Error(`${name}: a clone is not whole`);
    await clone.close();
  }
  const after = await store.db.stats();
  for (let number = 0; number < CLONES; number++) {
    const clone = await store.db.database(`clone-${round}-${number}`);
    await clone.drop();
  }
  await store.close();
  return { times, bytes: (storedBytes(after) - storedBytes(before)) / CLONES };
}

/** Each clone of the chain changes a few documents of its own, so that its layer is not empty. */
async function makeChain(db, documents) {
  const chain = [db];
  for (let depth = 1; depth <= DEPTH; depth++) {
    const clone = await chain[depth - 1].clone(`depth-${depth}`);
    for (const { id } of documents.slice((depth - 1) * 20, depth * 20)) {
      await clone.collection("documents").update(id, { done: true, person: `clone ${depth}` });
    }
    chain.push(clone);
  }
  return chain;
}

async function readRepeatedly(database, ids) {
  const documents = database.collection("documents");
  let found;
  for (let read = 0; read < READS; read++) found = await documents.get(ids[read % ids.length]);
  return found;
}

/** Microseconds of one hot read of a row that lies in the root: from the root, and through 1, 4 and 8 clones. */
export async function depthCosts({ count, checkpointed, rounds }) {
  const name = `depth-${count}-${checkpointed}`;
  await prepare();
  const documents = makeDocuments(count);
  const store = await open(name, "relaxed");
  await store.bulkInsert(documents);
  const chain = await makeChain(store.db, documents);
  if (checkpointed) await checkpoint(store.db);
  const drawn = draw(documents.slice(DEPTH * 20), 1000, 1);
  const ids = drawn.map(({ id }) => id);
  const readers = DEPTHS.map((depth) => [depth, chain[depth]]);
  const figures = Object.fromEntries(DEPTHS.map((depth) => [depth, []]));
  for (const [who, database] of readers) {
    const found = await database.collection("documents").getMany(ids);
    verify(who, found, drawn);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [who, database] of round % 2 === 0 ? readers : [...readers].reverse()) {
      const { took } = await timed(() => readRepeatedly(database, ids));
      figures[who].push((took / READS) * 1000);
    }
  }
  for (const clone of chain.slice(1).reverse()) await clone.close();
  await store.close();
  await destroy(name);
  return figures;
}

/** Fills a store and makes clones of it, each with a few documents of its own; gives the bytes that each adds. */
export async function fillCloned({ name, count, clones, changed }) {
  await prepare();
  const documents = makeDocuments(count);
  const store = await open(name, "relaxed");
  await store.bulkInsert(documents);
  await store.db.compact();
  const before = storedBytes(await store.db.stats());
  for (let number = 0; number < clones; number++) {
    const clone = await store.db.clone(`clone-${number}`);
    const own = draw(documents, changed, number).map((document) => ({ ...document, person: `clone ${number}` }));
    await clone.collection("documents").putMany(own);
    await clone.close();
  }
  const bytes = (storedBytes(await store.db.stats()) - before) / clones;
  await store.db.compact();
  await rest(store.db, 1000);
  await store.close();
  return bytes;
}

/** Milliseconds that opening to the first read, reads and commits take in such a store. */
export async function clonedCosts({ name, count, round }) {
  const documents = makeDocuments(count);
  const opened = await timed(async () => {
    const store = await open(name, "relaxed");
    await store.get(documents[round].id);
    return store;
  });
  const { db, close } = opened.value;
  const drawn = draw(documents, 1000, round);
  const read = await timed(async () => {
    for (const { id } of drawn) await db.collection("documents").get(id);
  });
  const written = await timed(async () => {
    for (const document of drawn.slice(0, 200)) await db.collection("documents").put(document);
  });
  await close();
  return { opening: opened.took, reads: read.took, commits: written.took };
}

export { destroy };
