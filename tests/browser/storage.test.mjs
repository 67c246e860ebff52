// The contract of storage, which src/storage states, held by IndexedDB on both backends and by one in JavaScript.
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
      return core.check_indexeddb(prefix).catch((error) => {
        throw new Error(error.message);
      });
    }, storeName());
    const stores = await tab.evaluate(async () => (await indexedDB.databases()).length);
    assert.ok(checked > 0, "no case ran");
    assert.equal(stores, checked, "each case had a database of its own");
  });

  test("a backend of the user's own keeps every number of the storage contract", async () => {
    const tab = await browser.tab();
    const checked = await tab.evaluate(async () => {
      const core = await import("/build/wasm-conformance/offshoot_core.js");
      const { backendOn, makeDisk } = await import("/tests/tools/map-backend.mjs");
      await core.default({ module_or_path: "/build/wasm-conformance/offshoot_core_bg.wasm" });
      return core.check_backend(() => backendOn(makeDisk())).catch((error) => {
        throw new Error(error.message);
      });
    });
    assert.ok(checked > 0, "no case ran");
  });

  test("a panic rejects what is awaited, and every later call, as INTERNAL", async () => {
    const tab = await browser.tab();
    const codes = await tab.evaluate(async () => {
      const core = await import("/build/wasm-conformance/offshoot_core.js");
      await core.default({ module_or_path: "/build/wasm-conformance/offshoot_core_bg.wasm" });
      const awaited = [core.wait_for_ever(), core.wait_for_ever()];
      core.panic_beside();
      const later = awaited.map((one) => one.catch(() => core.wait_for_ever()));
      const settled = await Promise.allSettled([...awaited, ...later]);
      return settled.map(({ reason }) => `${reason.code}: ${reason.message.includes("BUG: on purpose")}`);
    });
    assert.deepEqual(codes, Array(4).fill("INTERNAL: true"));
  });
});
