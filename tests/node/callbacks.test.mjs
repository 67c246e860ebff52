// Functions that the core gives to the host: each is taken back once its wait is over, not only at the store's end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backendOn, makeDisk } from "../tools/map-backend.mjs";
import { callbacksAlive, countCallbacks } from "../tools/callbacks.mjs";

countCallbacks();
const { open } = await import("../../pkg/dist/node.js");

for (const kind of ["memory", "a user's backend"]) {
  test(`commits and reads on ${kind} leave no function behind`, async () => {
    const db = await open("app", { storage: kind === "memory" ? kind : backendOn(makeDisk()) });
    const notes = db.collection("notes");
    const round = async (count) => {
      for (let n = 0; n < count; n++) await notes.put({ id: "a", n });
      await db.compact();
      await notes.get("a");
      // Work in the background has its end.
      await new Promise((done) => setTimeout(done, 50));
      return callbacksAlive();
    };
    const before = await round(20);
    const after = await round(200);
    assert.ok(after <= before + 20, `of 200 commits. before=${before}, after=${after}`);
    await db.close();
  });
}
