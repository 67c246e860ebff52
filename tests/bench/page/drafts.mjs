// The costs of work in a clone, beside the same work without one: merging, comparing, materializing, going back.
import { timed } from "./compared.mjs";
import { draw, makeDocuments, verify } from "./documents.mjs";
import { destroy, open, prepare, rest } from "./offshoot.mjs";

const CHANGED = 100;
const RESTORED = 1000;
/** Milliseconds to wait after a measure, so that clearing up after it does not count as a cost of the next one. */
const QUIET = 500;

let documents = [];

/** Fills the store that all rounds work on. */
export async function fillDrafts({ name, count }) {
  await prepare();
  documents = makeDocuments(count);
  const store = await open(name, "relaxed");
  await store.bulkInsert(documents);
  await store.close();
}

const changed = (drawn, round) => drawn.map((document) => ({ ...document, person: `round ${round}` }));

/** Reads documents and writes them changed, in one transaction. */
function rewrite(db, drawn, round) {
  const ids = drawn.map(({ id }) => id);
  return db.transaction(async (tx) => {
    const found = await tx.collection("documents").getMany(ids);
    await tx.collection("documents").putMany(changed(found, round));
  });
}

/** Milliseconds of each, in one store that is open and read once. */
export async function draftCosts({ name, round }) {
  await prepare();
  const store = await open(name, "relaxed");
  const { db } = store;
  try {
    const settled = async (measure) => {
      await rest(db, QUIET);
      await store.scan();
      return measure();
    };
    const figures = await settled(() => mergeCosts(db, round));
    Object.assign(figures, await settled(() => diffCosts(store, round)));
    figures.materialize = await settled(() => materializeCost(db, round));
    figures.bulk = await settled(() => bulkCost(`${name}-bulk`));
    return Object.assign(figures, await settled(() => restoreCosts(db, round)));
  } finally {
    await store.close();
  }
}

async function mergeCosts(db, round) {
  const [plain, drafted] = [draw(documents, CHANGED, round * 2 + 1), draw(documents, CHANGED, round * 2 + 2)];
  const rewritten = await timed(() => rewrite(db, plain, `${round} plain`));
  const merged = await timed(async () => {
    const draft = await db.clone(`draft-${round}`);
    await rewrite(draft, drafted, `${round} draft`);
    const report = await draft.merge();
    return { draft, report };
  });
  const { draft, report } = merged.value;
  if (report.updated !== CHANGED) throw new Error(`a merge of ${CHANGED} updated ${report.updated}`);
  const ids = drafted.map(({ id }) => id);
  verify("merged", await db.collection("documents").getMany(ids), changed(drafted, `${round} draft`));
  await draft.drop();
  return { rewrite: rewritten.took, merge: merged.took };
}

async function diffCosts(store, round) {
  const draft = await store.db.clone(`compared-${round}`);
  await rewrite(draft, draw(documents, CHANGED, round + 100), `${round} diff`);
  const compared = await timed(() => draft.diff().toArray());
  if (compared.value.length !== CHANGED) throw new Error(`a diff of ${CHANGED} has ${compared.value.length}`);
  const scanned = await timed(() => store.scan());
  await draft.drop();
  return { diff: compared.took, scan: scanned.took };
}

async function materializeCost(db, round) {
  const clone = await db.clone(`whole-${round}`);
  const { took, value } = await timed(() => clone.materialize());
  if (value.state !== "materialized") throw new Error(`a clone is ${value.state}`);
  if ((await clone.collection("documents").count()) !== documents.length) throw new Error("a clone is not whole");
  await clone.drop();
  return took;
}

async function bulkCost(name) {
  const store = await open(name, "relaxed");
  const { took } = await timed(() => store.bulkInsert(documents));
  await store.close();
  await destroy(name);
  return took;
}

async function restoreCosts(db, round) {
  const drawn = draw(documents, RESTORED, round + 200);
  const ids = drawn.map(({ id }) => id);
  const before = await db.collection("documents").getMany(ids);
  const then = db.version;
  const written = await timed(() => db.collection("documents").putMany(changed(drawn, `${round} restore`)));
  const restored = await timed(() => db.restore(then));
  verify("restored", await db.collection("documents").getMany(ids), before);
  return { write: written.took, restore: restored.took };
}
