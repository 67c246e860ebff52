// Memory is given back at once when its owner is closed: nothing here waits for a collection of garbage.
import assert from "node:assert/strict";
import { test } from "node:test";

/** The core's objects (stores, scopes, exports) that were made and not given back: generated code tells a registry. */
const alive = [];
const { instantiate } = WebAssembly;
let memory;
globalThis.FinalizationRegistry = class {
  #tokens = new Map();
  constructor(finalize) {
    // The registry of closures is left out: a timer that was not due yet may have one.
    if (/__wbg_\w+_free/.test(String(finalize))) alive.push(this.#tokens);
  }
  register(_, pointer, token) {
    this.#tokens.set(token, pointer);
  }
  unregister(token) {
    return this.#tokens.delete(token);
  }
};
WebAssembly.instantiate = async (...given) => {
  const made = await instantiate.apply(WebAssembly, given);
  memory = (made.instance ?? made).exports.memory;
  return made;
};
const { open } = await import("../../pkg/dist/node.js");

const objects = () => alive.reduce((sum, tokens) => sum + tokens.size, 0);
const megabytes = () => memory.buffer.byteLength / 1e6;

/** Opens, uses and closes everything that has an end. */
async function round(size) {
  const db = await open("app", { storage: "memory" });
  const rows = db.collection("rows");
  await db.kv().set("a", "x".repeat(size));
  await rows.putMany(Array.from({ length: 20 }, (_, n) => ({ n })));
  const draft = await db.clone("draft");
  await draft.collection("rows").put({ n: 5 });
  await draft.diff().toArray();
  const past = await db.at(db.version);
  await past.kv().get("a");
  await past.close();
  for await (const row of rows.find()) if (row.n === 3) break;
  await db.transaction(async (tx) => tx.kv().set("b", (await tx.kv().list().toArray()).length));
  await db.transaction(() => Promise.reject(new Error("mine"))).catch(() => undefined);
  const reader = draft.export().getReader();
  while (!(await reader.read()).done);
  await draft.export().cancel();
  await draft.merge();
  await draft.close();
  await db.drop().catch(() => undefined);
  await db.close();
}

test("a store that is closed leaves no object and no memory behind", async () => {
  for (let n = 0; n < 3; n++) await round(1_000_000);
  assert.ok(alive.length >= 3, "they are counted");
  const [before, grown] = [objects(), megabytes()];
  for (let n = 0; n < 30; n++) await round(1_000_000);
  assert.equal(objects(), before, "objects of the core");
  assert.ok(megabytes() < grown + 4, `of 30 megabytes written. before=${grown}, after=${megabytes()}`);
});

test("of handles on one store each that is closed leaves nothing, while the store stays open", async () => {
  const db = await open("app", { storage: "memory" });
  const handle = async () => (await db.database("main")).close();
  await handle();
  const before = objects();
  for (let n = 0; n < 1000; n++) await handle();
  assert.equal(objects(), before);
  await db.close();
});
