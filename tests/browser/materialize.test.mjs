// C6, C7: one tab materializes a clone in the background while another writes and deletes in the clone and in its
// origin; the browser is killed on the way, again and again. In the end both equal a plain model.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { backends, launch, processId } from "../tools/chromium.mjs";
import { onEachBackend, openIn, openTab, serveRepository, storeName } from "./browser.mjs";

const KILLS = 10;
const copying = "/tests/browser/pages/copying.mjs";

/** Calls a function of the page's module with its `db`. */
const inTab = (tab, name, ...given) =>
  tab.evaluate(
    async ([copying, name, given]) => (await import(copying))[name](globalThis.db, ...given),
    [copying, name, given],
  );

/** Works from step `from` on until so many steps are done, and kills the browser. Gives the last step heard of. */
async function workUntilKilled(context, tab, from, steps) {
  let last = from - 1;
  let enough;
  const reached = new Promise((resolve) => (enough = resolve));
  await tab.exposeFunction("told", (step) => {
    last = step;
    if (step >= from + steps) enough();
  });
  const working = tab.evaluate(
    async ([copying, from]) => (await import(copying)).work(globalThis.db, from, globalThis.told),
    [copying, from],
  );
  const ended = working.catch((error) => error);
  const early = await Promise.race([reached, ended]);
  assert.equal(early, undefined, `it worked on until the kill: ${early}`);
  const closed = once(context, "close");
  process.kill(await processId(context.profile), "SIGKILL");
  await closed;
  await ended;
  return last;
}

/** The names of IndexedDB's databases. After a kill LevelDB may fail once: then it drops records it cannot read. */
async function namesIn(tab) {
  const list = async () => (await indexedDB.databases()).map(({ name }) => name);
  return tab.evaluate(list).catch(() => tab.evaluate(list));
}

for (const backend of backends) {
  test(`on ${backend}: killed ${KILLS} times, a clone that is materialized and written equals the model`, async (t) => {
    const profile = await mkdtemp(join(tmpdir(), "offshoot-copying-"));
    const site = await serveRepository();
    const name = "copying";
    const seen = new Set();
    let next = 0;
    try {
      for (let round = 0; round <= KILLS; round++) {
        const context = await launch({ backend, profile });
        const [writer, copier] = [await openTab(context, site), await openTab(context, site)];
        const names = await namesIn(writer);
        if (next > 0 && !names.includes(`offshoot/${name}`)) {
          // Chromium threw the whole origin away after a kill (see killed.test.mjs): it begins anew.
          const repair = async (name) => {
            const db = await globalThis.offshoot.open(name, { storage: "indexeddb", repair: true });
            await db.close();
          };
          await writer.evaluate(repair, name);
          next = 0;
        }
        await openIn(writer, name);
        if (next === 0) {
          await inTab(writer, "prepare");
          next = 1;
        }
        await openIn(copier, name);
        if (round === KILLS) {
          const { status, wrong, lineage } = await inTab(writer, "compare", next - 1);
          assert.deepEqual([wrong, status.state, lineage], [[], "materialized", 1]);
          await context.close();
        } else {
          const { state, rowsDone } = await inTab(copier, "statusOf");
          seen.add(rowsDone === undefined ? state : `${state} ${rowsDone}`);
          // The step that the kill cut off may be done or not: it is done once more.
          next = (await workUntilKilled(context, writer, next, 40 + ((round * 37) % 90))) + 1;
          // One more may have been done and not heard of; doing it again is doing it once.
        }
      }
      t.diagnostic(`${next - 1} steps; the clone was seen as ${[...seen].join(", ")}`);
    } finally {
      await site.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
  });
}

onEachBackend((browser) => {
  test("only one of two tabs materializes, and the other sees its progress and its end", async () => {
    const name = storeName();
    const [one, other] = [await browser.tab(), await browser.tab()];
    await openIn(one, name);
    await inTab(one, "prepare");
    await openIn(other, name);
    const materialize = async () => {
      const draft = await globalThis.db.database("draft");
      let calls = 0;
      const status = await draft.materialize({ onProgress: () => calls++ });
      await draft.close();
      return { state: status.state, isTold: calls > 0 };
    };
    const both = await Promise.all([one.evaluate(materialize), other.evaluate(materialize)]);
    assert.deepEqual(both, new Array(2).fill({ state: "materialized", isTold: true }));
    for (const tab of [one, other]) {
      const { wrong, lineage } = await inTab(tab, "compare", 0);
      assert.deepEqual([wrong, lineage], [[], 1]);
      await tab.close();
    }
  });
});
