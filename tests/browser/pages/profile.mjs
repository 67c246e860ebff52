// A store that is to be damaged from outside, and what a later start of the browser finds of it.
import { attempt } from "./attempt.mjs";

const ROWS = 3000;
const row = (n) => ({ id: `row-${10000 + n}`, n, text: `${n} `.repeat(40) });

const readAll = async (api, name, options) => {
  const db = await api.open(name, { storage: "indexeddb", ...options });
  try {
    return JSON.stringify([await db.collection("rows").find().toArray(), await db.kv().list().toArray()]);
  } finally {
    await db.close();
  }
};

/** Writes rows in blocks and in the log, each commit flushed, and waits until the witness knows the last. */
export async function prepare(api, name) {
  const db = await api.open(name, { storage: "indexeddb", durability: "strict" });
  const rows = db.collection("rows");
  await rows.insertMany(Array.from({ length: ROWS }, (_, n) => row(n)));
  // All rows are in blocks from here on, and what follows stays in the log.
  await db.compact();
  for (let n = 0; n < 30; n++) await db.kv().set(n, `entry ${n}`);
  const { version } = db;
  await db.close();
  const cache = await caches.open(`offshoot:${name}`);
  const isKnown = async () => (await cache.keys()).some(({ url }) => url.includes(version));
  while (!(await isKnown())) await new Promise((resolve) => setTimeout(resolve, 10));
  return readAll(api, name);
}

/** The contents, or the code of what opening or reading failed with; then the same for a repaired store. */
export async function survey(api, name) {
  const outcome = await attempt(() => readAll(api, name));
  const repaired = await attempt(async () => {
    const db = await api.open(name, { storage: "indexeddb", repair: true });
    await db.kv().set("after", "repair");
    const value = await db.kv().get("after");
    await db.close();
    return value;
  });
  return { found: outcome.code ?? outcome.value, message: outcome.message, repaired: repaired.value ?? repaired };
}
