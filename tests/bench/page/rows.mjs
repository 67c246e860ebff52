// The cost of rows that a read only passes: rows that are counted, and rows that were deleted.
import { timed } from "./compared.mjs";
import { open, prepare } from "./offshoot.mjs";

const HEADS = 20;
const id = (number) => `row-${String(number).padStart(8, "0")}`;
const rows = (from, to) => Array.from({ length: to - from }, (_, index) => ({ id: id(from + index), n: index }));
const inTens = async (count, work) => {
  for (let from = 0; from < count; from += 10_000) await work(from, Math.min(from + 10_000, count));
};

async function head(documents, expected) {
  const times = [];
  for (let round = 0; round < HEADS; round++) {
    const { took, value } = await timed(() => documents.find().first());
    if (value?.id !== expected) throw new Error(`the head is ${value?.id}, not ${expected}`);
    times.push(took);
  }
  return times.sort((a, b) => a - b)[HEADS >> 1];
}

/** Milliseconds of each, in a store that is made for it. */
export async function rowCosts({ store: storeName, count }) {
  await prepare();
  const store = await open(storeName, "relaxed");
  try {
    const documents = store.db.collection("documents");
    const insert = await timed(() => inTens(count, (from, to) => documents.insertMany(rows(from, to))));
    // The longest time that the page waits while it counts.
    let [longest, last] = [0, performance.now()];
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      const now = performance.now();
      [longest, last] = [Math.max(longest, now - last), now];
      port2.postMessage(null);
    };
    port2.postMessage(null);
    const counted = await timed(() => documents.count());
    port1.close();
    if (counted.value !== count) throw new Error(`there are ${counted.value} documents, not ${count}`);
    const before = await head(documents, id(0));
    const left = Math.floor(count / 10);
    const ids = rows(0, count - left).map((row) => row.id);
    const deleted = await timed(() =>
      inTens(ids.length, (from, to) => documents.deleteMany(ids.slice(from, to))),
    );
    const behind = await head(documents, id(count - left));
    const costs = { insert: insert.took / count, delete: deleted.took / ids.length };
    return { ...costs, count: counted.took, longest, before, behind };
  } finally {
    await store.close();
  }
}
