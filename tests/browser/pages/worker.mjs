// One script for every kind of worker: answers each request on the port that came with it.
import * as offshoot from "/pkg/dist/browser.js";
import { attempt } from "./attempt.mjs";

/** Opens the store, adds to the counter `times` times in parallel, clones, and says what it read. */
async function work({ name, worker, times }) {
  const db = await offshoot.open(name, { storage: "indexeddb" });
  try {
    const counters = db.collection("counters");
    await Promise.all(Array.from({ length: times }, () => counters.update("n", { $inc: { value: 1 } })));
    await db.transaction(async (tx) => {
      await tx.kv().set(worker, (await tx.collection("counters").get("n")).value >= times);
    });
    const clone = await db.clone(`of-${worker}`);
    await clone.collection("counters").delete("n");
    return [db.storageMode, await clone.collection("counters").count()];
  } finally {
    await db.close();
  }
}

const answer = async (event) => event.ports[0].postMessage(await attempt(() => work(event.data)));
addEventListener("message", answer);
// A shared worker hears each page on a port of its own.
addEventListener("connect", ({ ports: [page] }) => {
  page.onmessage = answer;
});
