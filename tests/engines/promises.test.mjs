// Every promise of the public API in a page of each engine, on IndexedDB. SEMANTICS R1 to R10, W1 to W12.
import assert from "node:assert/strict";
import { suites } from "../promises/index.mjs";
import { caughtAll, onEachEngine } from "./engines.mjs";

onEachEngine((browser, test) => {
  let tab;
  const begin = async () => {
    tab = await browser.tab();
    await tab.evaluate(async () => {
      globalThis.suites = (await import("/tests/promises/index.mjs")).suites;
    });
  };

  for (const [suite, cases] of Object.entries(suites)) {
    for (const [index, { name }] of cases.entries()) {
      test(`${suite}: ${name}`, async () => {
        if (tab === undefined) await begin();
        await tab.evaluate(
          async (suite, index) => {
            await globalThis.suites[suite][index].run({ ...globalThis.offshoot, storage: "indexeddb" });
          },
          suite,
          index,
        );
      });
    }
  }

  test("the cases left no store behind, and no error uncaught", async () => {
    const left = await tab.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
    assert.deepEqual(left, []);
    await caughtAll(tab);
  });
});
