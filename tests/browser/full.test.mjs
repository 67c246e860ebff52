// A full disk is emptied by deleting: calls that free room succeed where no others do, and then there is room again.
// So it is on SQLite. LevelDB counts what was deleted, and what was written again, until it next tidies up, and in a
// small quota that is too late; there this promises nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { loadTab, onEachBackend, storeName } from "./browser.mjs";

const QUOTA = 8_000_000;

/** Entries of 40,000 bytes that nothing packs, until the quota is used up; then the store's figures. */
const fill = async (most) => {
  const { db, attempt } = globalThis;
  let count = 0;
  for (; count < most; count++) {
    const value = crypto.getRandomValues(new Uint8Array(40_000));
    const { code } = await attempt(() => db.kv().set(count, value));
    if (code !== undefined) return { count, code, stats: await db.stats() };
  }
  return { count, stats: await db.stats() };
};

/** The code of each call, in turn; "ok" for one that succeeds. */
const codes = async (calls) => {
  const { db, attempt } = globalThis;
  const draft = await db.database("draft");
  const { count } = calls;
  const all = Array.from({ length: count }, (_, n) => n);
  const work = {
    "a small entry": () => db.kv().set("small", crypto.getRandomValues(new Uint8Array(20_000))),
    "delete": () => db.kv().delete(0),
    "deleteMany of a half": () => db.kv().deleteMany(all.filter((n) => n % 2 === 1)),
    "a transaction that deletes": () => db.transaction((tx) => tx.kv().deleteMany(all.filter((n) => n % 4 === 2))),
    "deleteMany": () => db.kv().deleteMany(all),
    "drop": () => draft.drop(),
    "compact": () => db.compact(),
    "count": () => db.kv().list().toArray().then((rows) => rows.length),
  };
  const told = [];
  for (const name of calls.names) {
    const { code, value, message } = await attempt(work[name]);
    told.push(code === undefined ? (name === "count" ? value : "ok") : `${name}: ${code} ${message}`);
  }
  return told;
};

onEachBackend((browser) => {
  if (browser.backend !== "sqlite") return;

  /** Runs `work` with a tab and a store in a small quota, and with what sets another quota. */
  const inSmallQuota = async (work) => {
    const name = storeName();
    const tab = await browser.tab();
    const client = await browser.context.newCDPSession(tab);
    const origin = browser.site.url;
    const setQuota = (quotaSize) => client.send("Storage.overrideQuotaForOrigin", { origin, quotaSize });
    await setQuota(QUOTA);
    const open = () =>
      tab.evaluate(async (name) => {
        globalThis.db = await globalThis.offshoot.open(name, { storage: "indexeddb", history: { retain: 0 } });
      }, name);
    try {
      await open();
      await tab.evaluate(() => globalThis.db.clone("draft").then((draft) => draft.kv().set("mine", 1)));
      await work(tab, open, setQuota);
    } finally {
      await tab.evaluate((name) => globalThis.offshoot.destroy(name), name).catch(() => {});
      await client.send("Storage.overrideQuotaForOrigin", { origin });
      await tab.close();
    }
  };

  test("a store that has filled the quota is emptied by deleting, and takes as much again", async (t) => {
    await inSmallQuota(async (tab, open) => {
      const full = await tab.evaluate(fill, 400);
      t.diagnostic(`${full.count} entries of 40,000 bytes, ${full.stats.logBytes} bytes of them in the log`);
      assert.equal(full.code, "QUOTA_EXCEEDED");
      await loadTab(tab, browser.site);
      await open();
      const names = ["delete", "deleteMany of a half", "a transaction that deletes", "drop", "deleteMany", "compact"];
      const told = await tab.evaluate(codes, { count: full.count, names });
      assert.deepEqual(told, names.map(() => "ok"));
      const { usage } = await tab.evaluate(() => navigator.storage.estimate());
      const again = await tab.evaluate(fill, Math.floor(full.count / 2));
      t.diagnostic(`${usage} bytes used once all is deleted; then ${again.count} entries more, ${again.code ?? "ok"}`);
      assert.equal(again.code, undefined, `after ${again.count} entries`);
    });
  });

  test("a compaction that finds no room leaves what was there, and finds some once half is deleted", async (t) => {
    await inSmallQuota(async (tab, _, setQuota) => {
      const usage = () => tab.evaluate(async () => (await navigator.storage.estimate()).usage);
      const { count } = await tab.evaluate(fill, 100);
      assert.equal(count, 100);
      const compact = async () => (await globalThis.attempt(() => globalThis.db.compact())).code ?? "ok";
      const code = () => tab.evaluate(compact);
      assert.equal(await code(), "ok", "there is room");
      const before = await usage();
      // The rest of the disk is somebody else's, and some more: the browser counts a little room as free at times.
      await setQuota(before - 1_000_000);
      assert.equal(await code(), "QUOTA_EXCEEDED");
      await setQuota(before);
      const after = await usage();
      t.diagnostic(`${before} bytes used; ${after} once a compaction has found no room`);
      assert.ok(after <= before, `${after} of ${before}`);
      const told = await tab.evaluate(codes, { count, names: ["deleteMany of a half", "compact", "count"] });
      t.diagnostic(`${await usage()} once half of it is deleted`);
      assert.deepEqual(told, ["ok", "ok", count / 2]);
    });
  });

  test("a store that has filled the quota is compacted once half of it is deleted", async (t) => {
    await inSmallQuota(async (tab) => {
      const { count, code } = await tab.evaluate(fill, 400);
      assert.equal(code, "QUOTA_EXCEEDED");
      const names = ["deleteMany of a half", "compact", "count"];
      const told = await tab.evaluate(codes, { count, names });
      const stats = await tab.evaluate(() => globalThis.db.stats());
      t.diagnostic(`${count} entries, then ${told}: ${stats.blockBytes} bytes in blocks, ${stats.logBytes} in the log`);
      assert.deepEqual(told, ["ok", "ok", Math.ceil(count / 2)]);
    });
  });
});
