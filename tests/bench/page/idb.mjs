// IndexedDB itself, with promises by idb: one transaction, all requests sent at once, commit() before their answers.
import { deleteDB, openDB } from "idb";

export async function open(name, durability) {
  const db = await openDB(name, 1, {
    upgrade(created) {
      created.createObjectStore("documents", { keyPath: "id" });
    },
  });
  const write = (documents) => {
    const transaction = db.transaction("documents", "readwrite", { durability });
    for (const document of documents) transaction.store.add(document);
    transaction.commit();
    return transaction.done;
  };
  return {
    bulkInsert: write,
    insert: (document) => write([document]),
    get: (id) => db.get("documents", id),
    scan: () => db.getAll("documents"),
    close: () => db.close(),
  };
}

export const destroy = (name) => deleteDB(name);

export const prepare = () => undefined;
