// Offshoot as its README shows it.
import * as offshoot from "offshoot";

export async function open(name, durability, options = {}) {
  const db = await offshoot.open(name, { storage: "indexeddb", durability, ...options });
  const documents = db.collection("documents");
  return {
    db,
    bulkInsert: (all) => documents.insertMany(all),
    insert: (document) => documents.insert(document),
    get: (id) => documents.get(id),
    scan: () => documents.find().toArray(),
    close: () => db.close(),
  };
}

export const destroy = (name) => offshoot.destroy(name, { storage: "indexeddb" });

/** Loads the module and starts it, so that what is measured later does not. */
export const prepare = () => offshoot.version();
