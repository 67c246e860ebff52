// Connections that the host closes under a store, as it does with sleeping tabs and after trouble of its own.
import assert from "node:assert/strict";
import { test } from "node:test";
import { onEachBackend, storeName } from "./browser.mjs";

/** A tab with the store open as `db`, where `lose()` closes all its connections as the host would. */
async function tabWithLoss(browser, name) {
  const tab = await browser.tab();
  await tab.evaluate(async (name) => {
    const connections = new Set();
    const begin = IDBDatabase.prototype.transaction;
    IDBDatabase.prototype.transaction = function (...args) {
      connections.add(this);
      return begin.apply(this, args);
    };
    globalThis.lose = () => {
      for (const connection of connections) {
        connection.close();
        connection.dispatchEvent(new Event("close"));
      }
      return connections.size;
    };
    globalThis.db = await globalThis.open(name);
  }, name);
  return tab;
}

onEachBackend((browser) => {
  test("a lost connection is opened again, and nothing acknowledged is lost or done twice", async () => {
    const tab = await tabWithLoss(browser, storeName());
    const result = await tab.evaluate(async () => {
      const counters = globalThis.db.collection("counters");
      await counters.insert({ id: "n", value: 0 });
      let lost = 0;
      for (let round = 0; round < 20; round++) {
        const writing = Array.from({ length: 5 }, () => counters.update("n", { $inc: { value: 1 } }));
        if (round % 2 === 0) await writing[0];
        lost += globalThis.lose();
        await Promise.all(writing);
      }
      return { lost, counter: await counters.get("n") };
    });
    assert.ok(result.lost >= 20, `connections were lost. lost=${result.lost}`);
    assert.deepEqual(result.counter, { id: "n", value: 100 });
  });

  test("a store destroyed while a tab had no connection is not made again by it: CLOSED", async () => {
    const name = storeName();
    const [owner, sleeper] = [await browser.tab(), await tabWithLoss(browser, name)];
    await sleeper.evaluate(() => globalThis.db.kv().set("a", 1));
    assert.ok((await sleeper.evaluate(() => globalThis.lose())) > 0);
    await owner.evaluate((name) => globalThis.offshoot.destroy(name, { storage: "indexeddb" }), name);
    const outcome = await sleeper.evaluate(() => globalThis.attempt(() => globalThis.db.kv().set("b", 1)));
    assert.equal(outcome.code, "CLOSED", outcome.message);
    assert.equal(await sleeper.evaluate(async () => (await globalThis.db.closed)?.code), "CLOSED");
    const left = await owner.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
    assert.ok(!left.includes(`offshoot/${name}`), "the store stays deleted");
  });
});
