// The same store in every context that has IndexedDB: a window, dedicated, shared and service workers, at the same
// time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { onEachBackend, openIn, sees, storeName } from "./browser.mjs";

const kinds = ["dedicated", "shared", "service"];

onEachBackend((browser) => {
  test("dedicated, shared and service workers write a window's store at once, and all counts", async () => {
    const name = storeName();
    const tab = await browser.tab();
    await openIn(tab, name);
    await tab.evaluate(() => globalThis.db.collection("counters").insert({ id: "n", value: 0 }));
    const outcomes = await tab.evaluate(
      async ([name, kinds]) => {
        const [script, type] = ["/tests/browser/pages/worker.mjs", "module"];
        const registration = await navigator.serviceWorker.register(script, { type });
        const service = registration.installing ?? registration.waiting ?? registration.active;
        const shared = new SharedWorker(script, { type });
        shared.port.start();
        const receivers = { dedicated: new Worker(script, { type }), shared: shared.port, service };
        const ask = (worker) =>
          new Promise((answered) => {
            const { port1, port2 } = new MessageChannel();
            port1.onmessage = ({ data }) => answered(data);
            receivers[worker].postMessage({ name, worker, times: 25 }, [port2]);
          });
        const mine = Array.from({ length: 25 }, () =>
          globalThis.db.collection("counters").update("n", { $inc: { value: 1 } }),
        );
        const answers = await Promise.all(kinds.map(ask));
        await Promise.all(mine);
        await registration.unregister();
        return answers;
      },
      [name, kinds],
    );
    assert.deepEqual(outcomes, kinds.map(() => ({ value: ["indexeddb", 0] })));
    await sees(tab, (db) => db.collection("counters").get("n"), { id: "n", value: 100 });
    await sees(tab, (db) => db.kv().list().toArray(), kinds.map((kind) => [kind, true]).sort());
    const databases = ["main", ...kinds.map((kind) => `of-${kind}`)].sort();
    await sees(tab, async (db) => (await db.databases()).map((info) => info.name).sort(), databases);
  });
});
