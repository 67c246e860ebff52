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

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Waits until a store has come to rest: nothing in it was moved for so many milliseconds. */
export async function rest(db, milliseconds) {
  let [seen, since] = ["", performance.now()];
  while (performance.now() - since < milliseconds) {
    const { blocks, blockBytes, logEntries } = await db.stats();
    const now = JSON.stringify([blocks, blockBytes, logEntries]);
    if (now !== seen) [seen, since] = [now, performance.now()];
    await pause(100);
  }
}

/** Loads the module and starts it, so that what is measured later does not. */
export const prepare = () => offshoot.version();
