// Two tabs of each engine on one store: all commits count, each tab sees the other's, and hears that the store is gone.
import assert from "node:assert/strict";
import { caughtAll, onEachEngine, openIn, reload, sees, storeName } from "./engines.mjs";

/** Two tabs with the same store open as `db`, while `body` runs. */
async function withTwoTabs(browser, body) {
  const name = storeName();
  const tabs = [await browser.tab(), await browser.tab()];
  for (const tab of tabs) await openIn(tab, name);
  try {
    await body(tabs, name);
    for (const tab of tabs) await caughtAll(tab);
  } finally {
    for (const tab of tabs) await tab.close();
  }
}

/** Runs in a tab. */
const databases = async () => (await globalThis.db.databases()).map(({ name }) => name).sort();

onEachEngine((browser, test) => {
  // W12: single calls never fail with CONFLICT, however many tabs compete.
  test("a hundred parallel single-call increments in each of two tabs all count", () =>
    withTwoTabs(browser, async (tabs, name) => {
      await tabs[0].evaluate(async () => {
        await globalThis.db.collection("counters").insert({ id: "n", value: 0 });
      });
      const count = () =>
        Promise.all(
          Array.from({ length: 100 }, () => globalThis.db.collection("counters").update("n", { $inc: { value: 1 } })),
        );
      const results = await Promise.all(tabs.map((tab) => tab.evaluate(count)));
      assert.deepEqual(results.flat(), new Array(200).fill(true));
      const counter = () => globalThis.db.collection("counters").get("n");
      for (const tab of tabs) await sees(tab, counter, { id: "n", value: 200 });
      await caughtAll(tabs[0]);
      await reload(tabs[0]);
      await openIn(tabs[0], name);
      assert.deepEqual(await tabs[0].evaluate(counter), { id: "n", value: 200 });
    }));

  // W8: nothing comes between what a transaction reads and what it writes.
  test("twenty parallel transactions in each of two tabs all count, also in a clone", () =>
    withTwoTabs(browser, async (tabs) => {
      await tabs[0].evaluate(async () => {
        await globalThis.db.kv().set("n", 0);
        await globalThis.db.clone("draft");
      });
      await sees(tabs[1], databases, ["draft", "main"]);
      const count = async () => {
        const draft = await globalThis.db.database("draft");
        const add = async (tx) => tx.kv().set("n", (await tx.kv().get("n")) + 1);
        await Promise.all(Array.from({ length: 20 }, () => draft.transaction(add, { retries: 1000 })));
      };
      await Promise.all(tabs.map((tab) => tab.evaluate(count)));
      for (const tab of tabs) {
        await sees(tab, async () => (await globalThis.db.database("draft")).kv().get("n"), 40);
        await sees(tab, () => globalThis.db.kv().get("n"), 0);
      }
    }));

  // R10: a commit made in another tab is visible without a reload.
  test("a tab sees what another one commits, clones and deletions included, without a reload", () =>
    withTwoTabs(browser, async ([writer, reader]) => {
      const notes = () => globalThis.db.collection("notes").find().toArray();
      await sees(reader, notes, []);
      await writer.evaluate(async () => {
        const notes = globalThis.db.collection("notes");
        await notes.insertMany([{ id: "a" }, { id: "b" }]);
        await notes.delete("a");
        const draft = await globalThis.db.clone("draft");
        await draft.collection("notes").delete("b");
      });
      await sees(reader, notes, [{ id: "b" }]);
      await sees(reader, databases, ["draft", "main"]);
      await sees(reader, async () => (await globalThis.db.database("draft")).collection("notes").count(), 0);
      await writer.evaluate(async () => (await globalThis.db.database("draft")).drop());
      await sees(reader, databases, ["main"]);
    }));

  test("an insert of the same id in two tabs succeeds in one and fails with KEY_EXISTS in the other", () =>
    withTwoTabs(browser, async (tabs) => {
      const insert = () => globalThis.attempt(() => globalThis.db.collection("notes").insert({ id: "a" }));
      const outcomes = await Promise.all(tabs.map((tab) => tab.evaluate(insert)));
      assert.deepEqual(outcomes.map(({ code, value }) => code ?? value).sort(), ["KEY_EXISTS", "a"]);
    }));

  test("destroying a store closes its handles in the other tab with CLOSED, and its name is free again", () =>
    withTwoTabs(browser, async ([owner, other], name) => {
      await other.evaluate(() => globalThis.db.kv().set("a", 1));
      await other.evaluate(async () => {
        globalThis.draft = await globalThis.db.clone("draft");
      });
      // Asked for before it happens: nothing that the other tab does makes it notice.
      const reasons = other.evaluate(async () => {
        const errors = await Promise.all([globalThis.db.closed, globalThis.draft.closed]);
        return errors.map((error) => error?.code);
      });
      await owner.evaluate((name) => globalThis.offshoot.destroy(name, { storage: "indexeddb" }), name);
      assert.deepEqual(await reasons, ["CLOSED", "CLOSED"]);
      for (const call of ["get", "set"]) {
        const outcome = await other.evaluate(
          (call) => globalThis.attempt(() => globalThis.db.kv()[call]("a", 2)),
          call,
        );
        assert.equal(outcome.code, "CLOSED", call);
      }
      await openIn(other, name);
      assert.equal(await other.evaluate(() => globalThis.db.kv().count()), 0);
    }));
});
