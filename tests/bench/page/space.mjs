// Which part of the bytes comes back once what took them is gone: documents, a clone's changes.
import { makeDocuments } from "./documents.mjs";
import { destroy, open, prepare } from "./offshoot.mjs";

const BATCH = 10_000;

/** The part of the bytes that `fill` added which is left after `clear` and a compaction: from 0 to 1. */
async function left(db, fill, clear) {
  const bytes = async () => {
    await db.compact();
    const { blockBytes, logBytes } = await db.stats();
    return blockBytes + logBytes;
  };
  const before = await bytes();
  const filled = await fill();
  const full = await bytes();
  await clear(filled);
  return ((await bytes()) - before) / (full - before);
}

/** The part that does not come back of `count` documents that are deleted, of a clone's that is dropped, and reset. */
export async function spaceLeft({ name, count }) {
  await prepare();
  const { db, close } = await open(name, "relaxed", { history: { retain: 0 } });
  const documents = makeDocuments(count);
  const ids = documents.map(({ id }) => id);
  const inBatches = async (all, work) => {
    for (let from = 0; from < all.length; from += BATCH) await work(all.slice(from, from + BATCH));
  };
  const put = (target) => inBatches(documents, (batch) => target.collection("documents").putMany(batch));
  const draft = async (name) => {
    const clone = await db.clone(name);
    await put(clone);
    return clone;
  };
  const figures = {
    deleted: await left(
      db,
      () => put(db),
      () => inBatches(ids, (batch) => db.collection("documents").deleteMany(batch)),
    ),
    dropped: await left(db, () => draft("dropped"), (clone) => clone.drop()),
    reset: await left(db, () => draft("reset"), (clone) => clone.reset()),
  };
  await close();
  await destroy(name);
  return figures;
}
