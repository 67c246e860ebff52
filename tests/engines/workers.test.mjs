// The same store in every kind of worker that an engine has, and in a window, at the same time.
import assert from "node:assert/strict";
import { caughtAll, onEachEngine, openIn, sees, storeName } from "./engines.mjs";

/** Runs in the page: starts each kind of worker and lets all of them and the page itself add to one counter. */
async function addEverywhere(name, kinds) {
  const [script, type] = ["/tests/browser/pages/worker.mjs", "module"];
  const makers = {
    dedicated: () => new Worker(script, { type }),
    shared: () => {
      const { port } = new SharedWorker(script, { type });
      port.start();
      return port;
    },
    service: async () => {
      const registration = await navigator.serviceWorker.register(script, { type });
      return registration.installing ?? registration.waiting ?? registration.active;
    },
  };
  const receivers = await Promise.all(kinds.map((kind) => makers[kind]()));
  const ask = (receiver, at) =>
    new Promise((answered) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => answered(data);
      receiver.postMessage({ name, worker: kinds[at], times: 25 }, [port2]);
    });
  const add = () => globalThis.db.collection("counters").update("n", { $inc: { value: 1 } });
  const mine = Array.from({ length: 25 }, add);
  const answers = await Promise.all(receivers.map(ask));
  await Promise.all(mine);
  return answers;
}

onEachEngine((browser, test) => {
  test("dedicated, shared and service workers write a window's store at once, and all counts", async () => {
    const name = storeName();
    const kinds = ["dedicated", "shared", "service"];
    const tab = await browser.tab();
    await openIn(tab, name);
    await tab.evaluate(async () => {
      await globalThis.db.collection("counters").insert({ id: "n", value: 0 });
    });
    const outcomes = await tab.evaluate(addEverywhere, name, kinds);
    assert.deepEqual(outcomes, kinds.map(() => ({ value: ["indexeddb", 0] })));
    await sees(tab, () => globalThis.db.collection("counters").get("n"), { id: "n", value: 100 });
    await sees(tab, () => globalThis.db.kv().list().toArray(), kinds.map((kind) => [kind, true]).sort());
    const databases = async () => (await globalThis.db.databases()).map((info) => info.name).sort();
    await sees(tab, databases, ["main", ...kinds.map((kind) => `of-${kind}`)].sort());
    await caughtAll(tab);
    await tab.close();
  });
});
