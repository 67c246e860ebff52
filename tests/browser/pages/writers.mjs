// Writers that are to be killed: each commit of one moves its counter and adds its step, in one transaction.

/** Even ones write the root database, odd ones its clone. */
export const writers = [0, 1, 2, 3];
const place = (writer) => (writer % 2 === 0 ? "main" : "draft");

/** Most steps are small; some are split over several records. */
const padding = (n) => "x".repeat(n % 7 === 3 ? 150_000 : 50 + (n % 11) * 30);

/** Makes the counters of all writers, and the clone, which reads its counters from its origin at first. */
export async function prepare(db) {
  await db.collection("counters").insertMany(writers.map((writer) => ({ id: `${writer}`, value: 0 })));
  await (await db.clone("draft")).close();
}

/** Writes on and on, and tells after each commit how far this writer has come. Ends with its page. */
export async function write(root, writer, acknowledged) {
  const db = await root.database(place(writer));
  for (;;) {
    const value = await db.transaction(async (tx) => {
      const { value } = await tx.collection("counters").get(`${writer}`);
      await tx.collection("counters").update(`${writer}`, { $inc: { value: 1 } });
      await tx.collection("steps").insert({ id: `${writer}/${value + 1}`, padding: padding(value + 1) });
      if (value > 0) await tx.kv().delete([writer, value]);
      await tx.kv().set([writer, value + 1], new Uint8Array(100));
      return value + 1;
    });
    await acknowledged(writer, value);
  }
}

/** How far each writer is, after checking that each of its commits is there as a whole, and nothing besides. */
export async function survey(root) {
  const values = [];
  for (const writer of writers) {
    const db = await root.database(place(writer));
    const { value } = await db.collection("counters").get(`${writer}`);
    for (let n = 1; n <= value; n++) {
      const step = await db.collection("steps").get(`${writer}/${n}`);
      if (step?.padding !== padding(n)) throw new Error(`a step is missing or torn. writer=${writer}, step=${n}`);
    }
    if ((await db.collection("steps").get(`${writer}/${value + 1}`)) !== undefined) {
      throw new Error(`a step is there without its counter. writer=${writer}, step=${value + 1}`);
    }
    const keys = (await db.kv().list({ prefix: [writer] }).toArray()).map(([key]) => key[1]);
    if (JSON.stringify(keys) !== JSON.stringify(value === 0 ? [] : [value])) {
      throw new Error(`an entry is not where its counter says. writer=${writer}, counter=${value}, keys=${keys}`);
    }
    await db.close();
    values.push(value);
  }
  const origin = await root.collection("counters").get("1");
  if (origin.value !== 0) throw new Error(`the origin changed with its clone. value=${origin.value}`);
  return values;
}
