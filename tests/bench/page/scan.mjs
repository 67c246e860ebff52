// A store that is far larger than its cache, read in pages.
import { makeDocuments } from "./documents.mjs";
import { wasmBytes } from "./memory-watch.mjs";
import { destroy, open, prepare, rest } from "./offshoot.mjs";

const BATCH = 10_000;
const PAGE = 1000;
const QUIET = 3000;

/** Fills a store in batches, and waits until it has come to rest. */
export async function fillLarge({ name, count, cacheBytes }) {
  const store = await open(name, "relaxed", { cacheBytes });
  for (let from = 0; from < count; from += BATCH) await store.bulkInsert(makeDocuments(BATCH, from));
  await rest(store.db, QUIET);
  const stats = await store.db.stats();
  await store.close();
  return { ...stats, wasmBytes: wasmBytes() };
}

/** Starts the module alone, so that what opening and reading add can be told. */
export async function startModule() {
  await prepare();
  return wasmBytes();
}

let reading;

export async function openLarge({ name, cacheBytes }) {
  reading = { store: await open(name, "relaxed", { cacheBytes }), rows: 0, cursor: undefined, iterator: undefined };
}

/** Reads some pages on; gives how many documents were seen so far, and whether there are more. */
export async function readPages({ pages }) {
  const query = reading.store.db.collection("documents").find();
  for (let page = 0; page < pages; page++) {
    const from = reading.cursor === undefined ? query : query.after(reading.cursor);
    const { rows, next } = await from.page(PAGE);
    check(rows);
    reading.cursor = next;
    if (next === undefined) return { rows: reading.rows, more: false, wasmBytes: wasmBytes() };
  }
  return { rows: reading.rows, more: true, wasmBytes: wasmBytes() };
}

/** Reads as many documents on as some pages have, one by one from one iterator. */
export async function iterate({ pages }) {
  reading.iterator ??= reading.store.db.collection("documents").find()[Symbol.asyncIterator]();
  for (let row = 0; row < pages * PAGE; row++) {
    const { value, done } = await reading.iterator.next();
    if (done) return { rows: reading.rows, more: false, wasmBytes: wasmBytes() };
    check([value]);
  }
  return { rows: reading.rows, more: true, wasmBytes: wasmBytes() };
}

function check(rows) {
  for (const row of rows) {
    if (row.created !== 1_700_000_000_000 + reading.rows * 1000) {
      throw new Error(`another document was expected. number=${reading.rows}, document=${JSON.stringify(row)}`);
    }
    reading.rows++;
  }
}

export async function closeLarge() {
  const stats = await reading.store.db.stats();
  await reading.store.close();
  reading = undefined;
  return stats;
}

export { destroy };
