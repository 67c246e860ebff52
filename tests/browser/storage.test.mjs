// The contract of storage, which src/storage states, held by IndexedDB on both backends.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { onEachBackend, storeName } from "./browser.mjs";

before(() => {
  const cwd = fileURLToPath(new URL("../../", import.meta.url));
  execFileSync("cargo", ["xtask", "conformance"], { cwd, stdio: "inherit" });
});

onEachBackend((browser) => {
  test("IndexedDB keeps every number of the storage contract", async () => {
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
