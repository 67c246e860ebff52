// Several tabs on one store: their commits are serializable, and none of them waits for a reload.
import assert from "node:assert/strict";
import { test } from "node:test";
import { onEachBackend, openIn, sees, storeName } from "./browser.mjs";

onEachBackend((browser) => {
  // W12: single calls never fail with CONFLICT, however many tabs compete.
  test("a hundred parallel single-call increments in each of two tabs all count", async () => {
    const name = storeName();
    const tabs = [await browser.tab(), await browser.tab()];
    for (const tab of tabs) await openIn(tab, name);
    await tabs[0].evaluate(() => globalThis.db.collection("counters").insert({ id: "n", value: 0 }));
    const count = () =>
      Promise.all(
        Array.from({ length: 100 }, () => globalThis.db.collection("counters").update("n", { $inc: { value: 1 } })),
      );
    const results = await Promise.all(tabs.map((tab) => tab.evaluate(count)));
    assert.deepEqual(results.flat(), new Array(200).fill(true));
    for (const tab of tabs) await sees(tab, (db) => db.collection("counters").get("n"), { id: "n", value: 200 });
  });

  test("a hundred parallel transactions in each of two tabs all count", async () => {
    const name = storeName();
    const tabs = [await browser.tab(), await browser.tab()];
    for (const tab of tabs) await openIn(tab, name);
    const count = () => {
      const once = () =>
        globalThis.db.transaction(
          async (tx) => {
            const value = (await tx.kv().get("n")) ?? 0;
            await tx.kv().set("n", value + 1);
          },
          { retries: 1000 },
        );
      return Promise.all(Array.from({ length: 100 }, once)).then(() => undefined);
    };
    await Promise.all(tabs.map((tab) => tab.evaluate(count)));
    for (const tab of tabs) await sees(tab, (db) => db.kv().get("n"), 200);
  });

  // R10: a commit made in another tab is visible without a reload.
  test("a tab sees what another one commits, clones included, without a reload", async () => {
    const name = storeName();
    const [writer, reader] = [await browser.tab(), await browser.tab()];
    await openIn(reader, name);
    await openIn(writer, name);
    await writer.evaluate(async () => {
      const notes = globalThis.db.collection("notes");
      await notes.insertMany([{ id: "a" }, { id: "b" }]);
      await notes.delete("a");
      const draft = await globalThis.db.clone("draft");
      await draft.collection("notes").delete("b");
    });
    await sees(reader, (db) => db.collection("notes").find().toArray(), [{ id: "b" }]);
    await sees(reader, (db) => db.database("draft").then((draft) => draft.collection("notes").count()), 0);
    await writer.evaluate(async () => (await globalThis.db.database("draft")).drop());
    await sees(reader, (db) => db.databases().then((all) => all.map(({ name }) => name)), ["main"]);
  });

  test("an insert of the same id in two tabs succeeds in one and fails with KEY_EXISTS in the other", async () => {
    const name = storeName();
    const tabs = [await browser.tab(), await browser.tab()];
    for (const tab of tabs) await openIn(tab, name);
    const insert = () => globalThis.attempt(() => globalThis.db.collection("notes").insert({ id: "a" }));
    const outcomes = await Promise.all(tabs.map((tab) => tab.evaluate(insert)));
    assert.deepEqual(outcomes.map(({ code, value }) => code ?? value).sort(), ["KEY_EXISTS", "a"]);
  });

  test("two tabs that create the same store at once share one store", async () => {
    const name = storeName();
    const tabs = [await browser.tab(), await browser.tab(), await browser.tab()];
    const write = async ([name, key]) => {
      globalThis.db = await globalThis.open(name);
      await globalThis.db.kv().set(key, true);
    };
    await Promise.all(tabs.map((tab, n) => tab.evaluate(write, [name, n])));
    for (const tab of tabs) await sees(tab, (db) => db.kv().list().toArray(), [[0, true], [1, true], [2, true]]);
  });

  test("destroying a store closes its handles in other tabs with CLOSED, and its name is free again", async () => {
    const name = storeName();
    const [owner, other] = [await browser.tab(), await browser.tab()];
    await openIn(owner, name);
    await openIn(other, name);
    await other.evaluate(() => globalThis.db.kv().set("a", 1));
    await other.evaluate(async () => (globalThis.draft = await globalThis.db.clone("draft")));
    await owner.evaluate((name) => globalThis.offshoot.destroy(name, { storage: "indexeddb" }), name);
    const reasons = await other.evaluate(async () => {
      const reasons = await Promise.all([globalThis.db.closed, globalThis.draft.closed]);
      return reasons.map((error) => error?.code);
    });
    assert.deepEqual(reasons, ["CLOSED", "CLOSED"]);
    for (const call of ["get", "set"]) {
      const outcome = await other.evaluate((call) => globalThis.attempt(() => globalThis.db.kv()[call]("a", 2)), call);
      assert.equal(outcome.code, "CLOSED", call);
    }
    await openIn(other, name);
    assert.equal(await other.evaluate(() => globalThis.db.kv().count()), 0);
  });
});
