// Real data: imported, cloned, changed on both sides, compared row by row with a plain model, before and after a
// reload.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTab, onEachBackend, openIn, storeName } from "./browser.mjs";

const originOffset = 7;
const cloneOffset = 31;

/** Compares the database `main` and its clone with what they must hold; gives how many rows there were. */
const check = async ([originOffset, cloneOffset]) => {
  const { changed, compare, originalModel } = await import("/tests/browser/pages/real-data.mjs");
  const original = await originalModel();
  const draft = await globalThis.db.database("draft");
  const outcome = {
    origin: await compare(globalThis.db, changed(original, originOffset)),
    clone: await compare(draft, changed(original, cloneOffset)),
  };
  await draft.close();
  return outcome;
};

onEachBackend((browser) => {
  // R4, C1, C11: a clone is an exact snapshot, and its diff is what it changed.
  test("every row of real data and of its clone is as a plain model says, also after a reload", async (t) => {
    const name = storeName();
    const tab = await browser.tab();
    await openIn(tab, name);
    const rows = await tab.evaluate(
      async ([originOffset, cloneOffset]) => {
        const { change, compare, importModel, originalModel } = await import("/tests/browser/pages/real-data.mjs");
        const original = await originalModel();
        await importModel(globalThis.db, original);
        const imported = await compare(globalThis.db, original);
        const draft = await globalThis.db.clone("draft");
        await change(draft, cloneOffset);
        await change(globalThis.db, originOffset);
        const kinds = {};
        for await (const { collection, op } of draft.diff()) {
          const kind = `${collection} ${op}`;
          kinds[kind] = (kinds[kind] ?? 0) + 1;
        }
        await draft.close();
        return { imported, kinds };
      },
      [originOffset, cloneOffset],
    );
    assert.deepEqual(rows.imported.differences, []);
    assert.deepEqual(rows.kinds, {
      "browsers update": 1,
      "browsers delete": 1,
      "places update": 1000,
      "places delete": 1000,
    });
    const expected = { rows: rows.imported.rows - 1001, differences: [] };
    const both = { origin: expected, clone: expected };
    assert.deepEqual(await tab.evaluate(check, [originOffset, cloneOffset]), both, "before the reload");
    await loadTab(tab, browser.site);
    await openIn(tab, name);
    assert.deepEqual(await tab.evaluate(check, [originOffset, cloneOffset]), both, "after it");
    t.diagnostic(`${rows.imported.rows} rows`);
  });
});
