// The tasks that all contenders do alike. Every answer is verified after its time was taken.
import * as bare from "./bare.mjs";
import * as dexie from "./dexie.mjs";
import { draw, makeDocument, makeDocuments, verify } from "./documents.mjs";
import * as idb from "./idb.mjs";
import * as offshoot from "./offshoot.mjs";

const contenders = { offshoot, dexie, idb, bare };
const READS = 1000;
const INSERTS = 1000;
const OPENINGS = 5;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Collects garbage and waits, so that earlier work, also in the background, is no part of the next measurement. */
async function settle(milliseconds = 100) {
  globalThis.gc();
  await pause(milliseconds);
}

/** Milliseconds that `work` takes, and what it gives. */
export async function timed(work) {
  await settle();
  const began = performance.now();
  const value = await work();
  return { took: performance.now() - began, value };
}

async function readAll(store, ids) {
  const found = [];
  for (const id of ids) found.push(await store.get(id));
  return found;
}

/** Opens a store that is there, works with it, and closes it. */
async function reopened(contender, name, work) {
  const store = await contender.open(name, "relaxed");
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Milliseconds from open() to the first read, some times over. Only what is read is in memory besides. */
export async function openings({ who, name, count, times }) {
  const contender = contenders[who];
  await contender.prepare();
  const figures = [];
  for (let opening = 0; opening < times; opening++) {
    const document = makeDocument(Math.floor((count / times) * (opening + 0.5)));
    const { took, value } = await timed(async () => {
      const store = await contender.open(name, "relaxed");
      return { store, found: await store.get(document.id) };
    });
    verify(name, [value.found], [document]);
    await value.store.close();
    figures.push(took);
  }
  return figures;
}

/** Fills a fresh store, and reads it in all ways, each after opening it anew. */
async function fillAndRead(contender, name, documents, round) {
  const figures = {};
  const filled = await contender.open(name, "relaxed");
  figures["bulk-insert"] = [(await timed(() => filled.bulkInsert(documents))).took];
  await filled.close();

  await reopened(contender, name, async (store) => {
    const drawn = draw(documents, READS, round + 1);
    const ids = drawn.map(({ id }) => id);
    const reads = await timed(() => readAll(store, ids));
    verify(name, reads.value, drawn);
    figures.reads = [reads.took];
  });

  await reopened(contender, name, async (store) => {
    const first = await timed(() => store.scan());
    verify(name, first.value, documents);
    first.value.length = 0;
    const again = await timed(() => store.scan());
    verify(name, again.value, documents);
    figures.scan = [first.took];
    figures["scan-again"] = [again.took];
  });
  return figures;
}

/** All that can be measured in the life of one store of `count` documents. */
export async function life({ who, count, round }) {
  const contender = contenders[who];
  const name = `${who}-life-${count}-${round}`;
  await contender.prepare();
  const figures = await fillAndRead(contender, name, makeDocuments(count), round);
  figures.opening = await openings({ who, name, count, times: OPENINGS });
  await contender.destroy(name);
  await settle(500);
  return figures;
}

/** Inserts documents one by one into a fresh store, each awaited. */
export async function singleInserts({ who, durability, round }) {
  const contender = contenders[who];
  const name = `${who}-single-${durability}-${round}`;
  const documents = makeDocuments(INSERTS);
  await contender.prepare();
  const store = await contender.open(name, durability);
  const { took } = await timed(async () => {
    for (const document of documents) await store.insert(document);
  });
  verify(name, await store.scan(), documents);
  await store.close();
  await contender.destroy(name);
  return { "single-inserts": [took] };
}

/** Fills a store and leaves it. */
export async function fillFor({ who, name, count }) {
  const store = await contenders[who].open(name, "relaxed");
  await store.bulkInsert(makeDocuments(count));
  await store.close();
}
