// A clone that is being materialized while another tab writes into it and into its origin.
export const ROWS = 40_000;

const id = (number) => String(number % ROWS).padStart(6, "0");
const filler = "x".repeat(300);

export async function prepare(db) {
  const rows = Array.from({ length: ROWS }, (_, number) => ({ id: id(number), n: 0, filler }));
  await db.collection("rows").insertMany(rows);
  const draft = await db.clone("draft", { materialize: "background" });
  await draft.close();
}

/** The writes of step `k`, in the clone and in its origin. Two runs of a step leave the same rows as one. */
const steps = (k) => ({ draft: id(k * 7919), origin: id(k * 6007), isDelete: k % 3 === 0 });

/** Goes on from step `k`, telling of each step that is done, until it is killed. */
export async function work(db, k, told) {
  const draft = await db.database("draft");
  for (let step = k; ; step++) {
    const { draft: inDraft, origin, isDelete } = steps(step);
    if (isDelete) {
      await draft.collection("rows").delete(inDraft);
      await db.collection("rows").delete(origin);
    } else {
      await draft.collection("rows").put({ id: inDraft, n: step });
      await db.collection("rows").put({ id: origin, n: -step });
    }
    await told(step);
  }
}

/** How far the clone is, for a report. */
export async function statusOf(db) {
  const draft = await db.database("draft");
  const status = await draft.status();
  await draft.close();
  return status;
}

/** Waits until the clone is whole, and compares both databases with a plain model of the steps up to `last`. */
export async function compare(db, last) {
  const draft = await db.database("draft");
  const status = await draft.materialize();
  const models = [new Map(), new Map()];
  for (let number = 0; number < ROWS; number++) for (const model of models) model.set(id(number), 0);
  for (let step = 1; step <= last; step++) {
    const { draft: inDraft, origin, isDelete } = steps(step);
    for (const [model, key, value] of [[models[0], inDraft, step], [models[1], origin, -step]]) {
      if (isDelete) model.delete(key);
      else model.set(key, value);
    }
  }
  const wrong = [];
  for (const [database, model] of [[draft, models[0]], [db, models[1]]]) {
    let rows = 0;
    for await (const { id, n } of database.collection("rows").find()) {
      rows++;
      if (model.get(id) !== n) wrong.push([database.name, id, n, model.get(id)]);
    }
    if (rows !== model.size) wrong.push([database.name, rows, model.size]);
  }
  const lineage = (await draft.lineage()).length;
  await draft.close();
  return { status, wrong: wrong.slice(0, 5), lineage };
}
