// The browser dies while tabs write: acknowledged commits are there afterwards, and every commit is whole or absent.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { backends, launch, processId } from "../tools/chromium.mjs";
import { openIn, openTab, serveRepository } from "./browser.mjs";

const kills = 10;
const name = "killed";

const survey = () => import("/tests/browser/pages/writers.mjs").then(({ survey }) => survey(globalThis.db));

/** Lets the writers write until so many commits were acknowledged, then kills the browser in the middle of the next. */
async function writeUntilKilled(context, tab, acknowledged, commits) {
  let left = commits;
  let enough;
  const reached = new Promise((resolve) => (enough = resolve));
  await tab.exposeFunction("acknowledged", (writer, value) => {
    acknowledged[writer] = value;
    if (--left === 0) enough();
  });
  const writing = tab.evaluate(async () => {
    const { write, writers } = await import("/tests/browser/pages/writers.mjs");
    await Promise.all(writers.map((writer) => write(globalThis.db, writer, globalThis.acknowledged)));
  });
  const ended = writing.then(
    () => assert.fail("writers do not end by themselves"),
    (error) => error,
  );
  const error = await Promise.race([reached, ended]);
  assert.equal(error, undefined, `the writers went on until the kill: ${error}`);
  const closed = once(context, "close");
  process.kill(await processId(context.profile), "SIGKILL");
  await closed;
  await ended;
}

/**
 * True if Chromium itself removed the whole database: a kill can leave half a record at the end of LevelDB's log, and
 * the second start after the kill discards the origin. No page can prevent that, so such a round counts apart; but
 * `open()` must fail with STORAGE_CORRUPT, and make an empty store only with `repair`.
 */
async function isWiped(tab, backend) {
  const names = await tab.evaluate(async () => (await indexedDB.databases()).map((database) => database.name));
  if (names.includes(`offshoot/${name}`)) return false;
  assert.equal(backend, "leveldb", "only LevelDB is known to be discarded");
  const outcome = await tab.evaluate((name) => globalThis.attempt(() => globalThis.open(name)), name);
  assert.equal(outcome.code, "STORAGE_CORRUPT", `a wiped store is told. message=${outcome.message}`);
  const repair = async (name) => {
    globalThis.db = await globalThis.offshoot.open(name, { storage: "indexeddb", repair: true });
    await globalThis.db.close();
  };
  await tab.evaluate(repair, name);
  return true;
}

for (const backend of backends) {
  test(`on ${backend}: killed ${kills} times while writing, nothing acknowledged is lost or torn`, async (t) => {
    const profile = await mkdtemp(join(tmpdir(), "offshoot-killed-"));
    const site = await serveRepository();
    let acknowledged;
    let wiped = 0;
    let commits = 0;
    try {
      for (let round = 0; round <= kills; round++) {
        const context = await launch({ backend, profile });
        const tab = await openTab(context, site);
        const isNew = acknowledged === undefined || (await isWiped(tab, backend));
        if (isNew && acknowledged !== undefined) wiped++;
        await openIn(tab, name);
        if (isNew) {
          acknowledged = [0, 0, 0, 0];
          await tab.evaluate(() => import("/tests/browser/pages/writers.mjs").then((m) => m.prepare(globalThis.db)));
        }
        const found = await tab.evaluate(survey);
        for (const [writer, value] of found.entries()) {
          const told = `round ${round}, writer ${writer}: found ${value}, acknowledged ${acknowledged[writer]}`;
          assert.ok(value >= acknowledged[writer], told);
          // A writer tells of each commit before it begins the next: one at most was done and not heard of.
          assert.ok(value <= acknowledged[writer] + 1, told);
          commits += value - acknowledged[writer];
          acknowledged[writer] = value;
        }
        if (round === kills) await context.close();
        else await writeUntilKilled(context, tab, acknowledged, 5 + ((round * 7) % 23));
      }
      t.diagnostic(`${acknowledged} commits there, ${commits} of them never acknowledged, ${wiped} wipes by Chromium`);
    } finally {
      await site.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
  });
}
