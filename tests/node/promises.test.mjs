// Every promise of the public API, on the built package and memory storage. In Chromium they also run on IndexedDB.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as api from "../../pkg/dist/node.js";
import { suites } from "../promises/index.mjs";

for (const [suite, cases] of Object.entries(suites)) {
  for (const { name, run } of cases) test(`${suite}: ${name}`, () => run({ ...api, storage: "memory" }));
}

test("where there is no IndexedDB a store lies in memory, told, unless IndexedDB was asked for by name", async () => {
  const db = await api.open("usual");
  assert.equal(db.storageMode, "memory");
  await db.kv().set("a", 1);
  assert.equal(await (await api.open("usual")).kv().get("a"), 1);
  await api.destroy("usual");
  assert.ok(api.OffshootError.is(await db.closed, "CLOSED"));
  await assert.rejects(api.open("usual", { storage: "indexeddb" }), { code: "STORAGE_UNAVAILABLE" });
});
