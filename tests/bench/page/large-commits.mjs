// Commits that are far larger than memory is meant to be, while another tab reads and writes.
import { makeDocument, makeDocuments } from "./documents.mjs";
import { wasmBytes } from "./memory-watch.mjs";
import { open } from "./offshoot.mjs";

const BATCH = 10_000;
const PAUSE = 20;

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const changed = (document) => ({ ...document, note: "changed in the clone" });

let store;
let before;
let clone;

/** Opens the store that all measures of this file work on. */
export async function openForCommits({ name, cacheBytes }) {
  store = await open(name, "relaxed", { cacheBytes });
  return wasmBytes();
}

const doing = {
  /** Changes every document in a clone, in many commits. The other measures need this one, which is not judged. */
  async change(count) {
    clone = await store.db.clone("changed");
    for (let from = 0; from < count; from += BATCH) {
      await clone.collection("documents").putMany(makeDocuments(BATCH, from).map(changed));
    }
  },
  async merge(count) {
    before = store.db.version;
    const { updated } = await (await store.db.database("changed")).merge();
    if (updated !== count) throw new Error(`a merge of ${count} updated ${updated}`);
  },
  async restore() {
    await store.db.restore(before);
  },
  async import(count) {
    const copy = await open("imported", "relaxed", { cacheBytes: 4 * 1024 * 1024 });
    const { documents } = await copy.db.import(store.db.export());
    if (documents !== count) throw new Error(`an import of ${count} brought ${documents}`);
    await copy.close();
  },
};

export async function doLarge({ what, count, from }) {
  before = from ?? before;
  const start = performance.now();
  await doing[what](count);
  return { took: performance.now() - start, wasmBytes: wasmBytes(), before };
}

/** Fails unless some documents are as they should be. */
export async function checkLarge({ count, isChanged }) {
  for (let number = 0; number < count; number += Math.ceil(count / 1000)) {
    const document = makeDocument(number);
    const expected = JSON.stringify(isChanged ? changed(document) : document);
    const found = JSON.stringify(await store.db.collection("documents").get(document.id));
    if (found !== expected) throw new Error(`another document was expected. number=${number}, document=${found}`);
  }
}

export async function closeForCommits() {
  await store.close();
}

let ended;
let beside;

/** Reads documents and commits entries until it is told to stop. */
export async function beginBeside({ name, count, cacheBytes }) {
  const { db, close } = await open(name, "relaxed", { cacheBytes });
  const other = await db.clone("beside");
  ended = false;
  beside = (async () => {
    const figures = { rounds: 0, longest: 0 };
    while (!ended) {
      const start = performance.now();
      const found = await db.collection("documents").get(makeDocument((figures.rounds * 7919) % count).id);
      if (found === undefined) throw new Error("a document is missing");
      await other.kv("rounds").set("last", figures.rounds);
      figures.longest = Math.max(figures.longest, performance.now() - start);
      figures.rounds++;
      await pause(PAUSE);
    }
    await other.drop();
    await close();
    return figures;
  })();
}

export async function endBeside() {
  ended = true;
  return beside;
}
