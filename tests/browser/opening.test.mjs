// An IndexedDB that refuses, fails, is newer or is wiped: the code on the promise, and nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { loadTab, onEachBackend, openIn, storeName } from "./browser.mjs";

/** Raises the version of a store's database, as a newer version of the package would. */
const raise = (name) =>
  new Promise((raised, failed) => {
    const request = indexedDB.open(`offshoot/${name}`, 2);
    request.onsuccess = () => raised(request.result.close());
    request.onerror = () => failed(request.error);
  });

onEachBackend((browser) => {
  test("a store that a newer version made is FORMAT_TOO_NEW, and its rows stay", async () => {
    const [name, tab] = [storeName(), await browser.tab()];
    await openIn(tab, name);
    await tab.evaluate(() => globalThis.db.kv().set("a", 1).then(() => globalThis.db.close()));
    await tab.evaluate(raise, name);
    for (const options of [{}, { storage: "indexeddb" }]) {
      const outcome = await tab.evaluate(
        ([name, options]) => globalThis.attempt(() => globalThis.offshoot.open(name, options)),
        [name, options],
      );
      assert.deepEqual([outcome.code, outcome.retryable], ["FORMAT_TOO_NEW", false], outcome.message);
    }
  });

  test("a tab whose store is taken over by a newer version is told so, and stops nobody", async () => {
    const [name, old, newer] = [storeName(), await browser.tab(), await browser.tab()];
    await openIn(old, name);
    await old.evaluate(() => globalThis.db.kv().set("a", 1));
    await newer.evaluate(raise, name);
    const told = await old.evaluate(async () => {
      const { code, message } = await globalThis.db.closed;
      return { code, message, later: await globalThis.attempt(() => globalThis.db.kv().get("a")) };
    });
    assert.equal(told.code, "FORMAT_TOO_NEW", told.message);
    assert.equal(told.later.code, "CLOSED");
  });

  test("an IndexedDB that fails for a while is STORAGE_UNAVAILABLE, retryable, and never memory", async () => {
    const [name, tab] = [storeName(), await browser.tab()];
    await openIn(tab, name);
    await tab.evaluate(() => globalThis.db.kv().set("a", 1).then(() => globalThis.db.close()));
    const outcomes = await tab.evaluate(async (name) => {
      const open = IDBFactory.prototype.open;
      let tries = 0;
      IDBFactory.prototype.open = function (name, version) {
        tries++;
        const request = open.call(this, `${name}-failing`, version);
        // Behind the listener that the package adds in this turn.
        queueMicrotask(() => request.addEventListener("upgradeneeded", () => request.transaction.abort()));
        return request;
      };
      const failing = await globalThis.attempt(() => globalThis.offshoot.open(name));
      IDBFactory.prototype.open = open;
      const again = await globalThis.offshoot.open(name);
      return { failing, tries, mode: again.storageMode, value: await again.kv().get("a") };
    }, name);
    assert.deepEqual([outcomes.failing.code, outcomes.failing.retryable], ["STORAGE_UNAVAILABLE", true]);
    assert.ok(outcomes.tries > 1, "it was tried again");
    assert.deepEqual([outcomes.mode, outcomes.value], ["indexeddb", 1]);
  });

  test("where the host refuses storage, as in a frame without an origin, the call says so for good", async () => {
    const tab = await browser.tab();
    const told = await tab.evaluate(async () => {
      IDBFactory.prototype.open = () => {
        throw new DOMException("access is denied in this context", "SecurityError");
      };
      const error = await globalThis.offshoot.open("refused").catch((error) => error);
      return { json: error.toJSON(), cause: error.cause.name };
    });
    const { code, retryable } = told.json;
    assert.deepEqual([code, retryable, told.cause], ["STORAGE_UNAVAILABLE", false, "SecurityError"]);
  });

  test("a browser that wipes an open store makes no uncaught error in the page", async () => {
    const [name, tab] = [storeName(), await browser.tab()];
    const uncaught = [];
    tab.on("pageerror", (error) => uncaught.push(String(error)));
    await openIn(tab, name);
    await tab.evaluate(() => globalThis.db.kv().set("a", 1));
    const client = await browser.context.newCDPSession(tab);
    const origin = new URL(browser.site.url).origin;
    await client.send("Storage.clearDataForOrigin", { origin, storageTypes: "indexeddb" });
    const outcome = await tab.evaluate(() => globalThis.attempt(() => globalThis.db.kv().set("b", 2)));
    assert.ok(["STORAGE_CORRUPT", "CLOSED"].includes(outcome.code), `${outcome.code} ${outcome.message}`);
    // Errors that nobody catches are told in a task of their own, before this one.
    await tab.evaluate(() => new Promise((resolve) => setTimeout(resolve, 0)));
    assert.deepEqual(uncaught, []);
    const left = await tab.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
    assert.ok(!left.includes(`offshoot/${name}`), "the store stays wiped");
  });

  test("a host whose Cache Storage, locks and storage manager never answer is as one without them", async () => {
    const [name, tab] = [storeName(), await browser.context.newPage()];
    await tab.clock.install();
    await loadTab(tab, browser.site);
    await tab.evaluate((name) => {
      globalThis.unanswered = 0;
      const never = () => new Promise(() => globalThis.unanswered++);
      CacheStorage.prototype.open = never;
      LockManager.prototype.request = never;
      StorageManager.prototype.estimate = never;
      StorageManager.prototype.persisted = never;
      const { offshoot } = globalThis;
      const use = async () => {
        const db = await offshoot.open(name, { storage: "indexeddb" });
        await db.kv().set("a", 1);
        const draft = await db.clone();
        const names = (await db.databases()).length;
        await draft.close();
        await db.compact();
        const { rows, quota } = await db.stats();
        await db.close();
        await offshoot.destroy(name);
        return { names, rows: rows > 0, quota };
      };
      globalThis.waiting = globalThis.attempt(use);
      globalThis.waiting.then(() => (globalThis.answered = true));
    }, name);
    let waits = 0;
    while (!(await tab.evaluate(() => globalThis.answered === true))) {
      assert.ok(waits++ < 40, "all calls are answered after a bounded number of time limits");
      // The host answers all other calls meanwhile, so that none of them is late by the clock of the test.
      await tab.waitForFunction(() => globalThis.unanswered > 0 || globalThis.answered);
      await setTimeout(1000);
      await tab.evaluate(() => (globalThis.unanswered = 0));
      await tab.clock.fastForward(20_000);
    }
    const { value, message } = await tab.evaluate(() => globalThis.waiting);
    assert.deepEqual(value, { names: 2, rows: true, quota: undefined }, message);
  });

  test("a store that is closed keeps no channel open, and a page that comes back opens none for it", async () => {
    const tab = await browser.tab();
    const open = await tab.evaluate(async (name) => {
      const open = new Set();
      globalThis.BroadcastChannel = class extends BroadcastChannel {
        constructor(name) {
          super(name);
          open.add(this);
        }
        close() {
          open.delete(this);
          super.close();
        }
      };
      const counts = [];
      const [one, other] = [await globalThis.open(name), await globalThis.open(name)];
      await one.kv().set("a", 1);
      counts.push(open.size);
      await one.close();
      counts.push(open.size);
      await other.close();
      counts.push(open.size);
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      counts.push(open.size);
      return counts;
    }, storeName());
    assert.deepEqual(open, [1, 1, 0, 0]);
  });

  test("the first read of a page that comes back sees what others wrote, whoever reads first", async () => {
    const [name, page, other] = [storeName(), await browser.tab(), await browser.tab()];
    // A listener older than the store's own.
    await page.evaluate(() => {
      globalThis.seen = new Promise((seen) => addEventListener("pageshow", () => seen(globalThis.db.kv().get("a"))));
    });
    await openIn(page, name);
    await openIn(other, name);
    await page.evaluate(() => globalThis.db.kv().set("a", 1));
    await page.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
    await other.evaluate(() => globalThis.db.kv().set("a", 2));
    const seen = await page.evaluate(() => {
      dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      return globalThis.seen;
    });
    assert.equal(seen, 2);
  });
});
