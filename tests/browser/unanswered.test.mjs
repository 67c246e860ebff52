// A host may abort a transaction and leave its requests without an answer. Chromium does on SQLite, where a transaction
// that was told to commit finds the disk full. No call may wait for such an answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTab, onEachBackend, openIn, sees, storeName } from "./browser.mjs";

/** Aborts the next writing transactions on the object store of this name, as many as `globalThis.unanswered` says. */
const leaveUnanswered = (space) => {
  const begin = IDBDatabase.prototype.transaction;
  const request = { readyState: "pending", error: null, addEventListener() {}, removeEventListener() {} };
  const store = new Proxy({}, { get: () => () => ({ ...request }) });
  globalThis.unanswered = 0;
  IDBDatabase.prototype.transaction = function (stores, mode, options) {
    const transaction = begin.call(this, stores, mode, options);
    const isIt = mode === "readwrite" && [stores].flat().includes(space);
    if (!isIt || globalThis.unanswered === 0) return transaction;
    globalThis.unanswered--;
    const error = new DOMException("the disk is full", "QuotaExceededError");
    Object.defineProperties(transaction, { error: { value: error }, objectStore: { value: () => store } });
    transaction.commit = () => {};
    queueMicrotask(() => transaction.abort());
    return transaction;
  };
};

const options = { timeout: 60_000 };

onEachBackend((browser) => {
  /** A tab whose clock stands still, so that a time limit saves no call. */
  const tabWithoutTime = async (space) => {
    const tab = await browser.context.newPage();
    await tab.clock.install();
    await loadTab(tab, browser.site);
    await tab.clock.pauseAt(Date.now() + 3_600_000);
    await tab.evaluate(leaveUnanswered, space);
    return tab;
  };
  const leave = (tab, count) => tab.evaluate((count) => (globalThis.unanswered = count), count);
  const code = async (tab, work) => {
    const outcome = await tab.evaluate(`globalThis.attempt(${work})`);
    return outcome.code ?? "ok";
  };

  test("the trial of early commits is made again where it had no answer, and the write is done", options, async () => {
    const tab = await tabWithoutTime("jobs");
    await leave(tab, 2);
    await openIn(tab, storeName());
    assert.equal(await code(tab, () => globalThis.db.kv().set("a", 1)), "ok");
    assert.equal(await tab.evaluate(() => globalThis.unanswered), 0, "two trials had no answer");
    await sees(tab, (db) => db.kv().get("a"), 1);
  });

  for (const trials of ["that succeed", "that teach nothing"]) {
    test(`a commit without an answer is QUOTA_EXCEEDED after trials ${trials}`, options, async () => {
      const tab = await tabWithoutTime("log");
      await tab.evaluate((isAborted) => {
        if (!isAborted) return;
        const begin = IDBDatabase.prototype.transaction;
        IDBDatabase.prototype.transaction = function (stores, ...rest) {
          const transaction = begin.call(this, stores, ...rest);
          if (String(stores) === "jobs") transaction.commit = () => transaction.abort();
          return transaction;
        };
      }, trials === "that teach nothing");
      await openIn(tab, storeName());
      assert.equal(await code(tab, () => globalThis.db.kv().set("a", 1)), "ok");
      await leave(tab, 1);
      assert.equal(await code(tab, () => globalThis.db.kv().set("b", 2)), "QUOTA_EXCEEDED");
      assert.equal(await tab.evaluate(() => globalThis.unanswered), 0);
      assert.equal(await code(tab, () => globalThis.db.kv().set("c", 3)), "ok");
      await sees(tab, (db) => db.kv().list().toArray(), [["a", 1], ["c", 3]]);
    });
  }

  test("a compaction whose guards have no answer is QUOTA_EXCEEDED, and the next one succeeds", options, async () => {
    const tab = await tabWithoutTime("meta");
    await openIn(tab, storeName());
    assert.equal(await code(tab, () => globalThis.db.kv().set("a", 1)), "ok");
    await leave(tab, 1000);
    assert.equal(await code(tab, () => globalThis.db.compact()), "QUOTA_EXCEEDED");
    await leave(tab, 0);
    assert.equal(await code(tab, () => globalThis.db.compact()), "ok");
    await sees(tab, (db) => db.kv().list().toArray(), [["a", 1]]);
  });
});
