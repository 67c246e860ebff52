// The costs of documents with very many fields: to compare, update and merge them must cost no more than in proportion
// to the fields.
import { timed } from "./compared.mjs";
import { open, prepare } from "./offshoot.mjs";

const FIELDS = 8000;
const SET = 4000;
const REMOVED = 2000;

const name = (number) => `field${String(number).padStart(5, "0")}`;
const fields = (from, to, value) =>
  Object.fromEntries(Array.from({ length: to - from }, (_, index) => [name(from + index), value]));

/** Milliseconds of each, in a store that is made for it. */
export async function wideCosts({ store: storeName }) {
  await prepare();
  const store = await open(storeName, "relaxed");
  try {
    const { db } = store;
    const documents = db.collection("documents");
    await documents.insert({ id: "wide", ...fields(0, FIELDS, 1) });
    const draft = await db.clone("draft");
    const set = await timed(() => draft.collection("documents").update("wide", { $set: fields(0, SET, 2) }));
    const unset = await timed(() =>
      draft.collection("documents").update("wide", {
        $unset: fields(SET, SET + REMOVED, true),
        $inc: { [name(FIELDS - 1)]: 1 },
      }),
    );
    const diff = await timed(() => draft.diff().toArray());
    const changed = diff.value[0]?.fields.length;
    if (changed !== SET + REMOVED + 1) throw new Error(`a diff of wide documents has other fields. fields=${changed}`);
    const merge = await timed(() => draft.merge());
    if (merge.value.updated !== 1) throw new Error(`a merge updated ${merge.value.updated} documents, not 1`);
    const merged = await documents.get("wide");
    if (merged[name(0)] !== 2 || name(SET) in merged || merged[name(FIELDS - 1)] !== 2) {
      throw new Error("a wide document was merged wrongly");
    }
    await draft.drop();
    return { set: set.took, unset: unset.took, diff: diff.took, merge: merge.took };
  } finally {
    await store.close();
  }
}
