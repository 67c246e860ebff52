// A damaged record ends in right data or in STORAGE_CORRUPT: never in less data, and never in other data.
import assert from "node:assert/strict";
import { test } from "node:test";
import { onEachBackend, storeName } from "./browser.mjs";

onEachBackend((browser) => {
  test("a record of the store that is flipped, cut, zeroed or gone is told, or was not needed", async (t) => {
    const tab = await browser.tab();
    const name = storeName();
    const blocks = await tab.evaluate(
      async (name) => (await import("/tests/browser/pages/damage.mjs")).prepare(globalThis.offshoot, name),
      name,
    );
    assert.ok(blocks > 0, "the store has blocks");
    for (const space of ["log", "blocks", "meta"]) {
      const outcomes = await tab.evaluate(
        async ([name, space]) =>
          (await import("/tests/browser/pages/damage.mjs")).damageEach(globalThis.offshoot, name, space, 12),
        [name, space],
      );
      assert.deepEqual(outcomes.wrong, []);
      assert.ok(outcomes.STORAGE_CORRUPT > 0, `${space}: some damage was met`);
      t.diagnostic(`${space}: told ${outcomes.STORAGE_CORRUPT} times, without harm ${outcomes.right} times`);
    }
  });

  test("whichever block of the store is gone, a salvage gives the others, and tells what is missing", async (t) => {
    const tab = await browser.tab();
    const outcomes = await tab.evaluate(async (name) => {
      const { salvageEach } = await import("/tests/browser/pages/damage.mjs");
      return salvageEach(globalThis.offshoot, name);
    }, storeName());
    assert.deepEqual(outcomes.wrong, []);
    assert.ok(outcomes.less > 5 && outcomes.whole > 5, "some rows were lost, and often none that a clone reads");
    t.diagnostic(`whole ${outcomes.whole} times, less ${outcomes.less} times`);
  });
});
