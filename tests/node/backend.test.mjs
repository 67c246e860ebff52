// A store on a backend of the user's own, as offshoot.d.ts describes it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, OffshootError, destroy } from "../../pkg/dist/node.js";
import { backendOn, makeDisk } from "../tools/map-backend.mjs";

/** Waits for what comes a little later by itself. */
async function until(isSo) {
  for (let tries = 0; !(await isSo()); tries++) {
    assert.ok(tries < 200, `it does not come: ${isSo}`);
    await new Promise((done) => setTimeout(done, 10));
  }
}

const soon = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 2));

test("a store on a backend of the user's own is there again after it was closed", async () => {
  const disk = makeDisk();
  const db = await open("own", { storage: backendOn(disk) });
  assert.equal(db.storageMode, "custom");
  await db.collection("notes").insertMany(Array.from({ length: 300 }, (_, n) => ({ id: `n${n}`, n })));
  const draft = await db.clone("draft");
  await draft.collection("notes").delete("n7");
  await Promise.all([draft.close(), db.close()]);
  const again = await open("own", { storage: backendOn(disk) });
  assert.equal(await again.collection("notes").count(), 300);
  const kept = await again.database("draft");
  assert.equal(await kept.collection("notes").count(), 299);
  await Promise.all([kept.close(), again.close()]);
  await destroy("own", { storage: backendOn(disk) });
  assert.deepEqual([disk.records.size, disk.log.length, disk.locks.size], [0, 0, 0]);
});

test("a temporary clone of one process is let be by another one on the same backend", async () => {
  const disk = makeDisk();
  const one = await open("one", { storage: backendOn(disk) });
  const draft = await one.clone();
  await draft.collection("notes").insert({ id: "a" });
  const other = await open("other", { storage: backendOn(disk) });
  const names = async () => (await other.databases()).length;
  assert.equal(await names(), 2);
  await new Promise((done) => setTimeout(done, 200));
  assert.equal(await names(), 2);
  assert.equal(await draft.collection("notes").count(), 1);
  await draft.close();
  await Promise.all([one.close(), other.close()]);
});

test("two processes on one backend lose no increment", async () => {
  const disk = makeDisk();
  const stores = await Promise.all(
    ["one", "other"].map((name) => open(name, { storage: backendOn(disk, { pause: soon }) })),
  );
  await stores[0].collection("counters").insert({ id: "a", n: 0 });
  const calls = stores.flatMap((db) =>
    Array.from({ length: 40 }, () => db.collection("counters").update("a", { $inc: { n: 1 } })),
  );
  assert.ok((await Promise.all(calls)).every((updated) => updated === true));
  for (const db of stores) {
    await db.collection("counters").insert({});
    assert.deepEqual(await db.collection("counters").get("a"), { id: "a", n: 80 });
    await db.close();
  }
});

test("a put of 100 KB lands beside another process that commits without a pause", async () => {
  const disk = makeDisk();
  let calls = 0;
  const [one, other] = await Promise.all([
    open("one", { storage: backendOn(disk, { pause: soon, told: () => calls++ }) }),
    open("other", { storage: backendOn(disk, { pause: soon }) }),
  ]);
  let isDone = false;
  const writing = (async () => {
    for (let n = 0; !isDone; n++) await other.kv().set(`k${n % 10}`, n);
  })();
  const before = calls;
  await one.collection("notes").insert({ id: "a", text: "x".repeat(100_000) });
  assert.ok(calls - before <= 40, `${calls - before} calls of storage`);
  isDone = true;
  await writing;
  await Promise.all([one.close(), other.close()]);
});

test("a process that closes, and a handle that is closed, release their locks", async () => {
  const disk = makeDisk();
  const db = await open("one", { storage: backendOn(disk) });
  const draft = await db.clone();
  assert.equal(disk.locks.size, 1, "the temporary clone is somebody's");
  await draft.close();
  await until(() => disk.locks.size === 0);
  const kept = await db.clone();
  await until(() => disk.locks.size === 1);
  await db.close();
  await kept.close();
  await until(() => disk.locks.size === 0);
});

test("a temporary clone of a process that is gone is dropped at the next open", async () => {
  const disk = makeDisk();
  const gone = await open("one", { storage: backendOn(disk) });
  await (await gone.clone()).collection("notes").insert({ id: "a" });
  assert.equal(disk.locks.size, 1);
  // Its process dies: its locks are free, and it never says so.
  disk.locks.clear();
  const next = await open("next", { storage: backendOn(disk) });
  await until(async () => (await next.databases()).length === 1);
  await next.close();
});

const openWith = (change) => open("broken", { storage: { ...backendOn(makeDisk()), ...change } });

test("a backend that is none is refused before anything is asked of it", async () => {
  for (const [change, words] of [
    [{ contract: 1 }, "contract 2"],
    [{ contract: "2" }, "contract 2"],
    [{ recordBytes: 59_999 }, "recordBytes"],
    [{ recordBytes: undefined }, "recordBytes"],
    [{ names: undefined }, '"names"'],
    [{ log: "none" }, '"log"'],
    [{ lock: 7 }, "lock"],
  ]) {
    const isRight = (error) =>
      OffshootError.is(error, "INVALID_OPTION") && error.details.option === "storage" && error.message.includes(words);
    await assert.rejects(openWith({ ...change, read: () => assert.fail("it was asked") }), (error) => {
      assert.ok(isRight(error), `${words}: ${error.code} ${error.message}`);
      return true;
    });
    await assert.rejects(destroy("broken", { storage: { ...backendOn(makeDisk()), ...change } }), isRight);
  }
});

test("an answer that the contract rules out names the method", async () => {
  const record = ["manifest/0", new Uint8Array(1)];
  for (const [method, answer] of [
    ["list", "nothing of the kind"],
    ["list", [["x".repeat(65), new Uint8Array(1)]]],
    ["list", [["manifest/0", "text"]]],
    ["list", Array(9).fill(record)],
    ["log", [[0, new Uint8Array(1)]]],
    ["log", [[2, new Uint8Array(1)], [1, new Uint8Array(1)]]],
    ["log", [[1.5, new Uint8Array(1)]]],
    ["write", true],
    ["write", undefined],
    ["write", 0],
    ["write", "3"],
  ]) {
    await assert.rejects(openWith({ [method]: async () => answer }), (error) => {
      assert.ok(OffshootError.is(error, "STORAGE_UNAVAILABLE"), `${method} ${answer}: ${error.code} ${error.message}`);
      assert.ok(error.message.includes(`broke its contract: ${method}`), error.message);
      assert.equal(error.details.method, method);
      return true;
    });
  }
});

test("an error of a backend names the method, and a full backend is QUOTA_EXCEEDED", async () => {
  const full = Object.assign(new Error("no room"), { name: "QuotaExceededError" });
  for (const [thrown, code] of [[full, "QUOTA_EXCEEDED"], [new Error("on fire"), "STORAGE_UNAVAILABLE"]]) {
    for (const write of [() => Promise.reject(thrown), () => { throw thrown; }]) {
      await assert.rejects(openWith({ write }), (error) => {
        assert.equal(error.details.method, "write");
        return OffshootError.is(error, code) && error.message.includes(thrown.message);
      });
    }
  }
});

test("a lock that throws or answers nonsense stops nobody", async () => {
  for (const lock of [() => { throw new Error("none"); }, async () => { throw new Error("none"); }, async () => 7]) {
    const db = await openWith({ lock });
    await db.collection("notes").insert({ id: "a" });
    const draft = await db.clone();
    await draft.close();
    await db.compact();
    await db.close();
  }
});
