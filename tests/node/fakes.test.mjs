// Tests of an app replace globals, and some hosts lack some. The package keeps the host's own globals from when it was
// loaded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../../pkg/dist/node.js";

const real = { ...globalThis, setTimeout, clearTimeout, queueMicrotask, crypto, TextDecoder, TextEncoder };

/** Replaces globals while `work` runs; a call that hangs fails the test instead of the whole run. */
async function faking(fakes, work) {
  const descriptors = Object.entries(fakes).map(([name]) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const [name, value] of Object.entries(fakes)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true });
  }
  let timer;
  const late = new Promise((_, fail) => (timer = real.setTimeout(fail, 20_000, new Error("it hangs"))));
  try {
    return await Promise.race([work(), late]);
  } finally {
    real.clearTimeout(timer);
    for (const [name, descriptor] of descriptors) {
      if (descriptor === undefined) delete globalThis[name];
      else Object.defineProperty(globalThis, name, descriptor);
    }
  }
}

/** A bit of everything that takes time: a commit, a transaction, a clone that is copied in slices, with pauses. */
async function use(name) {
  const db = await open(name, { storage: "memory" });
  await db.collection("c").insertMany(Array.from({ length: 2000 }, (_, i) => ({ i, t: "x".repeat(300) })));
  await db.transaction((tx) => tx.kv().set("a", 1));
  const draft = await db.clone("draft");
  await draft.materialize();
  assert.equal(await draft.collection("c").count(), 2000);
  await draft.close();
  await db.close();
}

const never = () => 0;
const frozen = class extends Date {
  static now = () => 0;
};
const all = {
  queueMicrotask: never,
  setTimeout: never,
  clearTimeout: never,
  setInterval: never,
  setImmediate: never,
  Date: frozen,
  performance: { now: () => 0 },
};
for (const name of Object.keys(all)) {
  test(`with a faked ${name} every call ends, and so do calls when it is real again`, async () => {
    await faking({ [name]: all[name] }, () => use(`fake-${name}`));
    await faking({}, () => use(`real-${name}`));
  });
}

test("with everything faked, and a store that was open before, every call ends", async () => {
  const db = await open("before", { storage: "memory" });
  await faking(all, async () => {
    await db.kv().set("a", 1);
    await use("within");
  });
  assert.equal(await db.kv().get("a"), 1);
  await db.close();
});

test("a clock of the user's own may call the database, whoever asks it", async () => {
  let [db, calls] = [undefined, 0];
  const pending = [];
  const now = () => {
    calls++;
    if (db !== undefined && pending.length < 2000) {
      pending.push(db.kv().get("a"), db.collection("c").insert({ by: "clock" }), db.collection("c").find().toArray());
    }
    return 1_000_000_000_000 + calls;
  };
  db = await open("clock", { storage: "memory", now });
  await faking({}, async () => {
    await db.transaction(async (tx) => {
      await tx.collection("c").insert({ by: "transaction" });
      await tx.collection("c").insertMany([{}, {}]);
      await tx.kv().set("a", 1);
    });
    await db.collection("c").insert({ by: "call" });
    const draft = await db.clone("draft", { ttl: "1h" });
    await draft.collection("c").insert({});
    await draft.merge();
    await draft.close();
    await (await db.at(new Date(1_000_000_000_000 + calls))).close();
    await db.compact();
    await Promise.all(pending);
  });
  assert.ok(calls > 10 && pending.length > 30, `it was asked. calls=${calls}`);
  assert.ok((await db.collection("c").count()) > 10);
  const { createdAt } = (await db.databases()).find(({ name }) => name === "draft");
  assert.ok(createdAt.getTime() > 1_000_000_000_000 && createdAt.getTime() <= 1_000_000_000_000 + calls);
  await db.close();
});

test("a clock that throws, or gives no number, is passed over for the host's", async () => {
  for (const now of [() => assert.fail("no time"), () => "soon", () => NaN]) {
    const db = await open("broken-clock", { storage: "memory", now });
    await db.collection("c").insert({});
    await db.close();
  }
});

test("a host without a function that every call needs loads the package, and open tells what is missing", async () => {
  const load = (name) => import(`../../pkg/dist/node.js?without=${name}`);
  for (const name of ["crypto", "TextDecoder", "TextEncoder"]) {
    await faking({ [name]: undefined }, async () => {
      const fresh = await load(name);
      const work = async () => {
        const db = await fresh.open("without", { storage: "memory" });
        await db.kv().set("a", "ä".repeat(100));
        return db.kv().get("a");
      };
      await assert.rejects(work, (error) => error.code === "INTERNAL" && error.message.includes(name), name);
    });
    // The realm is not lost: once the host has it, it works.
    const later = await load(name);
    const db = await later.open("with", { storage: "memory" });
    await db.kv().set("a", 1);
    await db.close();
  }
});
