// Every promise of the public API, on the built package and memory storage. In Chromium they also run on IndexedDB.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as api from "../../pkg/dist/node.js";
import { suites } from "../promises/index.mjs";

for (const [suite, cases] of Object.entries(suites)) {
  for (const { name, run } of cases) test(`${suite}: ${name}`, () => run({ ...api, storage: "memory" }));
}

test("without IndexedDB a store lies in memory, told once, unless IndexedDB was asked for by name", async (t) => {
  const warn = t.mock.method(console, "warn", () => undefined);
  const db = await api.open("usual");
  assert.equal(db.storageMode, "memory");
  await db.kv().set("a", 1);
  assert.equal(await (await api.open("usual")).kv().get("a"), 1);
  await api.destroy("usual");
  assert.ok(api.OffshootError.is(await db.closed, "CLOSED"));
  const refused = { code: "STORAGE_UNAVAILABLE", retryable: false };
  await assert.rejects(api.open("usual", { storage: "indexeddb" }), refused);
  await (await api.open("usual")).close();
  await (await api.open("meant", { storage: "memory" })).close();
  assert.equal(warn.mock.callCount(), 1);
  assert.match(warn.mock.calls[0].arguments[0], /offshoot: there is no IndexedDB here.*store="usual"/);
});

test("an IndexedDB that refuses is STORAGE_UNAVAILABLE with the host's reason, and never memory", async (t) => {
  const refusal = new DOMException("denied in this context", "SecurityError");
  const refuse = () => {
    throw refusal;
  };
  for (const descriptor of [{ get: refuse }, { value: { open: refuse } }]) {
    Object.defineProperty(globalThis, "indexedDB", { ...descriptor, configurable: true });
    t.after(() => delete globalThis.indexedDB);
    for (const options of [undefined, { storage: "indexeddb" }]) {
      await assert.rejects(api.open("refused", options), (error) => {
        assert.deepEqual([error.code, error.retryable, error.details.outcome], ["STORAGE_UNAVAILABLE", false, "none"]);
        assert.equal(error.cause, refusal);
        return true;
      });
    }
    delete globalThis.indexedDB;
  }
});
