// Every promise of the public API in a page, on IndexedDB, under the strict policy. SEMANTICS R1 to R10, W1 to W12.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { suites } from "../promises/index.mjs";
import { usedBackend } from "../tools/chromium.mjs";
import { onEachBackend } from "./browser.mjs";

onEachBackend((browser) => {
  let tab;
  before(async () => {
    tab = await browser.tab();
    await tab.evaluate(async () => {
      globalThis.suites = (await import("/tests/promises/index.mjs")).suites;
    });
  });

  for (const [suite, cases] of Object.entries(suites)) {
    for (const [index, { name }] of cases.entries()) {
      test(`${suite}: ${name}`, () =>
        tab.evaluate(
          async ([suite, index]) => {
            await globalThis.suites[suite][index].run({ ...globalThis.offshoot, storage: "indexeddb" });
          },
          [suite, index],
        ));
    }
  }

  test("the cases ran on the backend that was asked for, and left no store behind", async () => {
    assert.equal(await usedBackend(browser.context.profile), browser.backend);
    const left = await tab.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
    assert.deepEqual(left, []);
  });
});
