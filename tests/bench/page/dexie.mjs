// Dexie in the form that its documentation calls fastest: bulkAdd without keys in return, get, toArray.
import { Dexie } from "dexie";

export async function open(name, durability) {
  const db = new Dexie(name, { chromeTransactionDurability: durability });
  db.version(1).stores({ documents: "id" });
  await db.open();
  const { documents } = db;
  return {
    bulkInsert: (all) => documents.bulkAdd(all),
    insert: (document) => documents.add(document),
    get: (id) => documents.get(id),
    scan: () => documents.toArray(),
    close: () => db.close(),
  };
}

export const destroy = (name) => Dexie.delete(name);

export const prepare = () => undefined;
