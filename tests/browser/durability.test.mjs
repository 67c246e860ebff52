// The browser promises what a resolved write survives, by the durability of its transaction. These tests check that
// Offshoot asks for the right durability, by name, in every transaction that writes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { onEachBackend, storeName } from "./browser.mjs";

/**
 * Opens a store with these options and calls `work`, as text. Gives the durabilities of its writing transactions, each
 * with the object stores that the transaction spans.
 */
async function durabilities(browser, options, work) {
  const tab = await browser.tab();
  return tab.evaluate(
    async ([name, options, work]) => {
      const asked = [];
      const begin = IDBDatabase.prototype.transaction;
      IDBDatabase.prototype.transaction = function (...args) {
        const transaction = begin.apply(this, args);
        const pair = [args[2]?.durability, transaction.durability];
        if (transaction.mode === "readwrite") asked.push({ pair, stores: [...transaction.objectStoreNames] });
        return transaction;
      };
      const db = await globalThis.offshoot.open(name, { storage: "indexeddb", ...options });
      asked.length = 0;
      if (work === "call") await db.collection("notes").insert({ id: "a" });
      else await db.transaction((tx) => tx.kv().set("a", 1), work);
      await db.close();
      return asked;
    },
    [storeName(), options, work],
  );
}

onEachBackend((browser) => {
  for (const durability of ["strict", "relaxed"]) {
    test(`durability ${durability} of the store reaches the transaction of a single call`, async () => {
      const asked = await durabilities(browser, { durability }, "call");
      // Only a commit appends to the log. Beside it the store writes what may be lost: records kept for a full disk.
      const commits = asked.filter(({ stores }) => stores.includes("log"));
      assert.ok(commits.length > 0);
      for (const { pair } of commits) assert.deepEqual(pair, [durability, durability]);
    });
  }

  test("a store that was told nothing asks for relaxed, never for what the browser prefers", async () => {
    const asked = await durabilities(browser, {}, "call");
    assert.ok(asked.length > 0);
    for (const { pair } of asked) assert.deepEqual(pair, ["relaxed", "relaxed"]);
  });

  test("durability strict of one transaction reaches its commit in a relaxed store", async () => {
    const asked = await durabilities(browser, {}, { durability: "strict" });
    assert.ok(asked.some(({ pair }) => pair.join() === "strict,strict"), JSON.stringify(asked));
  });
});
