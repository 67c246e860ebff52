// Functions that the cases share. A case is `{ name, run(api) }`; `api` is { open, destroy, OffshootError, storage }:
// the package and the storage to run on. Nothing here may need Node, so that the same cases run in a page.

let stores = 0;

/** Runs `body` with a fresh store's root database, and destroys the store afterwards. */
export async function withStore(api, body, options = {}) {
  const name = `promise-${Date.now().toString(36)}-${stores++}`;
  const db = await api.open(name, { storage: api.storage, ...options });
  try {
    await body(db, name);
  } finally {
    await db.close();
    await api.destroy(name, { storage: api.storage });
  }
}

/** A clone of `db` over rows that only the origin has: documents a, b, c in `notes`, KV entries a, b, c. */
export async function withClone(api, body) {
  await withStore(api, async (origin) => {
    await origin
      .collection("notes")
      .insertMany(["a", "b", "c"].map((id, n) => ({ id, text: id.toUpperCase(), n, tags: [id] })));
    await origin.kv().setMany(["a", "b", "c"].map((key, n) => [key, { n, text: key }]));
    const clone = await origin.clone("draft");
    await body(clone, origin);
    await clone.close();
  });
}

/**
 * Two cases of one promise: each act as a call on the database, and each act in a transaction. `run` gets `act`, which
 * hands a function the one or the other.
 */
export function bothWays(name, run) {
  return [
    { name: `${name} (single call)`, run: (api) => run(api, (db, work) => work(db)) },
    { name: `${name} (in a transaction)`, run: (api) => run(api, (db, work) => db.transaction(work)) },
  ];
}

/** All documents of a collection and all entries of the KV collection, to compare databases by. */
export async function contents(db, collection = "notes") {
  return { notes: await db.collection(collection).find().toArray(), kv: await db.kv().list().toArray() };
}

/** Everything an async iterable gives. */
export async function all(iterable) {
  const rows = [];
  for await (const row of iterable) rows.push(row);
  return rows;
}
