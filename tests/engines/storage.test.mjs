// The contract of storage, which src/storage states, held by IndexedDB in each engine.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { onEachEngine, storeName } from "./engines.mjs";

const isBuilt = existsSync(new URL("../../build/wasm-conformance/offshoot_core.js", import.meta.url));

onEachEngine((browser, test) => {
  test("IndexedDB keeps every number of the storage contract", async (t) => {
    if (!isBuilt) return t.skip("the storage suite is not built: cargo xtask conformance");
    const tab = await browser.tab();
    const checked = await tab.evaluate(async (prefix) => {
      const core = await import("/build/wasm-conformance/offshoot_core.js");
      await core.default({ module_or_path: "/build/wasm-conformance/offshoot_core_bg.wasm" });
      // A panic ends the module in the middle: its promise never answers, but the page hears of the trap.
      const panic = new Promise((_, failed) => {
        addEventListener("error", (event) => failed(new Error(core.last_panic() ?? event.message)));
        addEventListener("unhandledrejection", (event) => failed(new Error(core.last_panic() ?? String(event.reason))));
      });
      return Promise.race([core.check_indexeddb(prefix), panic]);
    }, storeName());
    const stores = await tab.evaluate(async () => (await indexedDB.databases()).length);
    assert.ok(checked > 0, "no case ran");
    assert.equal(stores, checked, "each case had a database of its own");
  });
});
