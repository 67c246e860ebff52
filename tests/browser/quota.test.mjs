// A full disk: stored rows stay readable, nothing is half written, and writing goes on once there is room.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTab, onEachBackend, openIn, storeName } from "./browser.mjs";

/** Everything in the store, as one text. */
const contents = async () => {
  const { db } = globalThis;
  const draft = await db.database("draft");
  const read = async (source) => [
    (await source.collection("notes").find().toArray()).map(({ id, text }) => [id, text.length]),
    await source.kv().list().toArray(),
  ];
  const found = JSON.stringify([await read(db), await read(draft)]);
  await draft.close();
  return found;
};

onEachBackend((browser) => {
  test("an exhausted quota is QUOTA_EXCEEDED, leaves all readable, and writes go on once there is room", async () => {
    const name = storeName();
    const tab = await browser.tab();
    const client = await browser.context.newCDPSession(tab);
    const setQuota = (quotaSize) =>
      client.send("Storage.overrideQuotaForOrigin", { origin: browser.site.url, quotaSize });
    await setQuota(3_000_000);
    try {
      await openIn(tab, name);
      const full = await tab.evaluate(async () => {
        const { db } = globalThis;
        await db.kv().set("a", 1);
        await (await db.clone("draft")).collection("notes").insert({ id: "mine", text: "" });
        for (let written = 0; written < 200; written++) {
          // Random text: a backend that compresses would find room for ever.
          const bytes = crypto.getRandomValues(new Uint8Array(50_000));
          const text = Array.from(bytes, (byte) => byte.toString(16)).join("");
          const note = { id: `n${written}`, text };
          const work = (tx) => Promise.all([tx.collection("notes").insert(note), tx.kv().set("n", written)]);
          const outcome = await globalThis.attempt(() => db.transaction(work));
          if (outcome.code !== undefined) return { written, ...outcome };
        }
        return { written: 200 };
      });
      assert.equal(full.code, "QUOTA_EXCEEDED", `${full.message}, after ${full.written} commits`);
      assert.ok(full.written > 0, "some commits had room");
      const before = await tab.evaluate(contents);
      const last = new RegExp(`\\["n",${full.written - 1}\\]`);
      assert.match(before, last, "the last commit that had room is the last one");
      const again = () =>
        tab.evaluate(() => {
          // Zeros would be packed into a few kilobytes, for which there is room at times.
          const big = new Uint8Array(3_000_000);
          for (let at = 0; at < big.length; at += 60_000) crypto.getRandomValues(big.subarray(at, at + 60_000));
          return globalThis.attempt(() => globalThis.db.kv().set("big", big));
        });
      assert.equal((await again()).code, "QUOTA_EXCEEDED");
      assert.equal(await tab.evaluate(contents), before, "nothing of a commit that failed is there");
      await loadTab(tab, browser.site);
      await openIn(tab, name);
      assert.equal(await tab.evaluate(contents), before, "nor is it after a reload");

      await setQuota(50_000_000);
      assert.deepEqual(await again(), { value: true });
      const more = await tab.evaluate(() =>
        globalThis.attempt(() => globalThis.db.collection("notes").insert({ id: "z", text: "z" })),
      );
      assert.deepEqual(more, { value: "z" });
      assert.equal(await tab.evaluate(async () => (await globalThis.db.kv().get("big")).length), 3_000_000);
    } finally {
      await client.send("Storage.overrideQuotaForOrigin", { origin: browser.site.url });
    }
  });
});
