// A tab that sleeps stops nobody for ever: neither by what it holds of ours, nor by a transaction on the same database.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTab, onEachBackend, openIn, sees, storeName } from "./browser.mjs";

const freeze = async (context, tab, state) => {
  const client = await context.newCDPSession(tab);
  await client.send("Page.setWebLifecycleState", { state });
  await client.detach();
};

onEachBackend((browser) => {
  test("a tab frozen in the middle of its transactions stops no other, and goes on when it thaws", async () => {
    const name = storeName();
    const [sleeper, worker] = [await browser.tab(), await browser.tab()];
    for (const tab of [sleeper, worker]) await openIn(tab, name);
    let count = 0;
    await sleeper.exposeFunction("counted", (value) => (count = value));
    await sleeper.evaluate(() => {
      globalThis.stopped = false;
      globalThis.writing = (async () => {
        let commits = 0;
        for (; !globalThis.stopped; commits++) {
          await globalThis.db.transaction(async (tx) => {
            const n = (await tx.kv().get("n")) ?? 0;
            await tx.kv().set("n", n + 1);
          });
          await globalThis.counted(commits);
        }
        return commits;
      })();
    });
    while (count < 20) await new Promise((resolve) => setImmediate(resolve));
    await freeze(browser.context, sleeper, "frozen");
    const outcome = await worker.evaluate(() =>
      globalThis.attempt(async () => {
        for (let n = 0; n < 20; n++) await globalThis.db.collection("notes").insert({ n });
        return globalThis.db.collection("notes").count();
      }),
    );
    assert.deepEqual(outcome, { value: 20 });
    await freeze(browser.context, sleeper, "active");
    const commits = await sleeper.evaluate(() => {
      globalThis.stopped = true;
      return globalThis.writing;
    });
    for (const tab of [sleeper, worker]) await sees(tab, (db) => db.kv().get("n"), commits);
  });

  test("every transaction commits in the turn in which it began: a tab that freezes holds none", async () => {
    const tab = await browser.tab();
    const open = await tab.evaluate(async (name) => {
      const begin = IDBDatabase.prototype.transaction;
      const commit = IDBTransaction.prototype.commit;
      const counts = { begun: 0, held: 0 };
      const committed = new WeakSet();
      IDBTransaction.prototype.commit = function () {
        committed.add(this);
        return commit.call(this);
      };
      IDBDatabase.prototype.transaction = function (...args) {
        const transaction = begin.apply(this, args);
        counts.begun++;
        queueMicrotask(() => (counts.held += committed.has(transaction) ? 0 : 1));
        return transaction;
      };
      for (let round = 0; round < 2; round++) {
        const db = await globalThis.open(name);
        await db.collection("notes").put({ id: "a", n: round });
        await db.transaction(async (tx) => tx.kv().set("n", (await tx.kv().get("n")) ?? 0));
        await (await db.clone(`draft-${round}`)).collection("notes").update("a", { n: 5 });
        await db.collection("notes").find().toArray();
        await db.close();
      }
      return counts;
    }, storeName());
    assert.ok(open.begun > 10, `transactions were seen. begun=${open.begun}`);
    assert.equal(open.held, 0, `of ${open.begun}`);
  });

  test("a foreign transaction that never ends makes writes TIMEOUT, and they succeed once it does", async (t) => {
    const name = storeName();
    const [holder, writer] = [await browser.tab(), await browser.context.newPage()];
    // Before the package is loaded: it keeps the timers that it finds then.
    await writer.clock.install();
    await loadTab(writer, browser.site);
    await openIn(writer, name);
    await writer.evaluate(() => globalThis.db.kv().set("a", 1));
    await holder.evaluate(async (name) => {
      const database = await new Promise((opened) => {
        indexedDB.open(`offshoot/${name}`).onsuccess = (event) => opened(event.target.result);
      });
      const transaction = database.transaction([...database.objectStoreNames], "readwrite");
      globalThis.held = true;
      const spin = () => {
        if (globalThis.held) transaction.objectStore("meta").get("none").onsuccess = spin;
      };
      spin();
      globalThis.ended = new Promise((ended) => (transaction.oncomplete = ended)).then(() => database.close());
    }, name);
    await writer.evaluate(() => {
      globalThis.waiting = globalThis.attempt(() => globalThis.db.kv().set("b", 2));
      globalThis.waiting.then(() => (globalThis.answered = true));
    });
    // Its clock is the test's. Each wait that follows another begins only when that one has failed.
    let waits = 0;
    while (!(await writer.evaluate(() => globalThis.answered === true))) {
      assert.ok(waits++ < 100, "the write is answered after a bounded number of time limits");
      await writer.clock.fastForward(20_000);
    }
    const outcome = await writer.evaluate(() => globalThis.waiting);
    assert.equal(outcome.code, "TIMEOUT", outcome.message ?? `it wrote ${outcome.value}`);
    assert.equal(outcome.retryable, false, "its write may yet be done");
    t.diagnostic(`${waits} waits of 20 s on the tab's clock`);
    await holder.evaluate(() => {
      globalThis.held = false;
      return globalThis.ended;
    });
    // The write that timed out may have been done meanwhile. Either way the next one stands.
    await writer.evaluate(() => globalThis.db.kv().set("b", 3));
    await sees(writer, (db) => db.kv().list().toArray(), [["a", 1], ["b", 3]]);
  });

  // On SQLite a transaction that writes holds up all reads too, so that nothing gets as far as the trial.
  const heldUp = { timeout: 60_000, skip: browser.backend === "sqlite" };
  test("a trial of early commits that is held up is waited for once", heldUp, async () => {
    const name = storeName();
    const [holder, writer] = [await browser.tab(), await browser.context.newPage()];
    await openIn(holder, name);
    await holder.evaluate(async (name) => {
      await globalThis.db.kv().set("a", 1);
      const database = await new Promise((opened) => {
        indexedDB.open(`offshoot/${name}`).onsuccess = (event) => opened(event.target.result);
      });
      const transaction = database.transaction("jobs", "readwrite");
      const spin = () => (transaction.objectStore("jobs").get("none").onsuccess = spin);
      spin();
    }, name);
    await writer.clock.install();
    await loadTab(writer, browser.site);
    await openIn(writer, name);
    await writer.evaluate(() => {
      globalThis.waiting = globalThis.attempt(() => globalThis.db.kv().set("b", 2));
      globalThis.waiting.then(() => (globalThis.answered = true));
    });
    let waits = 0;
    while (!(await writer.evaluate(() => globalThis.answered === true))) {
      assert.ok(waits++ < 3, "the trial has one time limit");
      await writer.clock.fastForward(20_000);
    }
    assert.equal((await writer.evaluate(() => globalThis.waiting)).code, undefined);
    await writer.clock.pauseAt(Date.now() + 3_600_000);
    await writer.evaluate(() => globalThis.db.kv().set("c", 3));
    await holder.close();
    await sees(writer, (db) => db.kv().list().toArray(), [["a", 1], ["b", 2], ["c", 3]]);
  });

  test("an open whose answer comes after its time limit leaves a store that opens, and can be deleted", async () => {
    const name = storeName();
    const [holder, late] = [await browser.tab(), await browser.context.newPage()];
    await late.clock.install();
    await loadTab(late, browser.site);
    // The deletion waits for a connection that never closes, and every later open waits for the deletion.
    await holder.evaluate(async (name) => {
      globalThis.held = await new Promise((opened) => {
        indexedDB.open(`offshoot/${name}`).onsuccess = (event) => opened(event.target.result);
      });
      globalThis.deleted = new Promise((deleted) => {
        indexedDB.deleteDatabase(`offshoot/${name}`).onsuccess = deleted;
      });
    }, name);
    await late.evaluate((name) => {
      globalThis.waiting = globalThis.attempt(() => globalThis.offshoot.open(name, { storage: "indexeddb" }));
      globalThis.waiting.then(() => (globalThis.answered = true));
    }, name);
    let waits = 0;
    while (!(await late.evaluate(() => globalThis.answered === true))) {
      assert.ok(waits++ < 20, "the call is answered after a bounded number of time limits");
      await late.clock.fastForward(20_000);
    }
    assert.equal((await late.evaluate(() => globalThis.waiting)).code, "TIMEOUT");
    await holder.evaluate(() => {
      globalThis.held.close();
      return globalThis.deleted;
    });
    await openIn(holder, name);
    await holder.evaluate(() => globalThis.db.kv().set("a", 1));
    await sees(holder, (db) => db.kv().list().toArray(), [["a", 1]]);
    // Nothing keeps the connection that came too late.
    await holder.evaluate(() => globalThis.db.close());
    await holder.evaluate(
      (name) =>
        new Promise((deleted, failed) => {
          const request = indexedDB.deleteDatabase(`offshoot/${name}`);
          request.onsuccess = deleted;
          request.onblocked = () => failed(new Error("a connection is still open"));
        }).then(() => {}),
      name,
    );
  });
});
