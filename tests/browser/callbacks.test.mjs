// Functions that the core gives to IndexedDB and to timers: each is taken back once its wait is over.
import assert from "node:assert/strict";
import { test } from "node:test";
import { countCallbacks } from "../tools/callbacks.mjs";
import { loadTab, onEachBackend, openIn, storeName } from "./browser.mjs";

onEachBackend((browser) => {
  test("commits, reads and transactions leave no function behind", async () => {
    const tab = await browser.context.newPage();
    await tab.addInitScript(countCallbacks);
    await loadTab(tab, browser.site);
    await openIn(tab, storeName());
    const round = (count) =>
      tab.evaluate(async (count) => {
        const { db } = globalThis;
        const notes = db.collection("notes");
        for (let n = 0; n < count; n++) {
          await notes.put({ id: "a", n }, { durability: n % 5 === 0 ? "strict" : "relaxed" });
          await db.transaction((tx) => tx.collection("notes").update("a", { $inc: { n: 1 } }));
        }
        await db.compact();
        await notes.get("a");
        // Work in the background has its end.
        await new Promise((done) => setTimeout(done, 200));
        return globalThis.callbacks.size;
      }, count);
    const before = await round(10);
    const after = await round(100);
    assert.ok(before > 0, "they are counted");
    assert.ok(after <= before + 20, `of 200 commits. before=${before}, after=${after}`);
  });
});
