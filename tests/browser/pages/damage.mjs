// Damage to single records of a store, through IndexedDB itself, and what the store then says of its contents.
import { attempt } from "./attempt.mjs";

const settled = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });

/** Runs `work` with the store's own IndexedDB database. */
async function raw(name, work) {
  const database = await settled(indexedDB.open(`offshoot/${name}`));
  try {
    return await work(database);
  } finally {
    database.close();
  }
}

const space = (database, name, mode = "readwrite") => database.transaction(name, mode).objectStore(name);

/** Everything that the databases hold, as text; or the code of the error that reading ended in. */
async function contents(api, name) {
  const outcome = await attempt(async () => {
    const db = await api.open(name, { storage: "indexeddb" });
    let draft;
    try {
      draft = await db.database("draft");
      const all = [];
      for (const source of [db, draft]) {
        all.push(await source.collection("notes").find().toArray(), await source.kv().list().toArray());
      }
      return JSON.stringify(all);
    } finally {
      // The last handle closes the engine: the next reader finds what is stored, not what is remembered.
      await draft?.close();
      await db.close();
    }
  });
  return outcome.code ?? outcome.value;
}

/** A store with blocks and with a log behind them. */
export async function prepare(api, name) {
  const db = await api.open(name, { storage: "indexeddb" });
  const text = "0123456789".repeat(100);
  await db.collection("notes").insertMany(Array.from({ length: 1500 }, (_, n) => ({ id: `${n}`, n, text })));
  const draft = await db.clone("draft");
  for (let n = 0; n < 10; n++) {
    await draft.collection("notes").update(`${n * 100}`, { $inc: { n: 1 } });
    await db.kv().set(n, `entry ${n}`);
  }
  const { blocks } = await db.stats();
  await draft.close();
  await db.close();
  return blocks;
}

const damages = {
  "a byte flipped in the middle": (bytes) => bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 0x10 : byte)),
  "its last byte gone": (bytes) => bytes.slice(0, -1),
  "zeroed": (bytes) => new Uint8Array(bytes.length),
  "gone": () => undefined,
};

/** Damages the records of a space one by one and each in every way; gives what a reader was told, and how often. */
export async function damageEach(api, name, spaceName, limit) {
  const right = await contents(api, name);
  if (!right.startsWith("[")) throw new Error(`undamaged, the store must be readable: ${right}`);
  const keys = await raw(name, (database) => settled(space(database, spaceName, "readonly").getAllKeys()));
  const outcomes = { right: 0, STORAGE_CORRUPT: 0, wrong: [] };
  const step = Math.ceil(keys.length / limit);
  for (const key of keys.filter((_, at) => at % step === 0)) {
    const bytes = await raw(name, (database) => settled(space(database, spaceName, "readonly").get(key)));
    for (const [kind, damage] of Object.entries(damages)) {
      const broken = damage(bytes);
      if (broken?.length === 0) continue;
      await raw(name, (database) => {
        const store = space(database, spaceName);
        return settled(broken === undefined ? store.delete(key) : store.put(broken, key));
      });
      const found = await contents(api, name);
      if (found === right) outcomes.right++;
      else if (found === "STORAGE_CORRUPT") outcomes.STORAGE_CORRUPT++;
      else outcomes.wrong.push(`${spaceName} ${key}, ${kind}: ${found.slice(0, 60)}`);
      await raw(name, (database) => settled(space(database, spaceName).put(bytes, key)));
    }
  }
  if ((await contents(api, name)) !== right) throw new Error("repaired, the store must be as it was");
  return outcomes;
}

/** The rows of an export, by a store in memory that imports it, and what the import told. */
async function imported(api, stream) {
  const name = `salvaged-${Math.random()}`;
  const db = await api.open(name, { storage: "memory" });
  try {
    const report = await db.import(stream);
    return { report, notes: await db.collection("notes").find().toArray(), kv: await db.kv().list().toArray() };
  } finally {
    await db.close();
  }
}

/** Makes a store with many blocks, takes them away one by one, and salvages what is left each time. */
export async function salvageEach(api, name) {
  await prepare(api, name);
  const main = await api.open(name, { storage: "indexeddb" });
  // Text that cannot be packed.
  const random = () => crypto.getRandomValues(new Uint8Array(500));
  const text = () => Array.from(random(), (n) => n.toString(16).padStart(2, "0")).join("");
  const more = Array.from({ length: 1500 }, (_, n) => ({ id: `${n + 1500}`, n: n + 1500, text: text() }));
  await main.collection("notes").insertMany(more);
  await main.close();
  const all = await raw(name, (database) => settled(space(database, "blocks", "readonly").getAllKeys()));
  const outcomes = { whole: 0, less: 0, wrong: [] };
  for (const key of all) {
    const bytes = await raw(name, (database) => settled(space(database, "blocks", "readonly").get(key)));
    await raw(name, (database) => settled(space(database, "blocks").delete(key)));
    const db = await api.open(name, { storage: "indexeddb", repair: true });
    const draft = await db.database("draft");
    for (const source of [db, draft]) {
      const { report, notes, kv } = await imported(api, source.export({ salvage: true }));
      const isRight = ({ id, n, text }) => (n === Number(id) || n === Number(id) + 1) && text.length === 1000;
      if (!notes.every(isRight) || report.documents !== notes.length || report.entries !== kv.length) {
        outcomes.wrong.push(`${key}, ${source.name}: other rows`);
      } else if (notes.length === (source === db ? 3000 : 1500)) outcomes.whole++;
      else if (report.skipped > 0) outcomes.less++;
      else outcomes.wrong.push(`${key}, ${source.name}: ${notes.length} rows, and nothing is told`);
    }
    await draft.close();
    await db.close();
    await raw(name, (database) => settled(space(database, "blocks").put(bytes, key)));
  }
  return outcomes;
}
