// Opening, sharing, closing and destroying from JavaScript.
import { equal, ok, promises, rejects, throws } from "./assert.mjs";
import { withStore } from "./harness.mjs";

const tick = () => new Promise((resolve) => setTimeout(resolve, 1));

export const cases = [
  {
    name: "a handle tells its names, its storage and its version",
    run: (api) =>
      withStore(api, async (db, name) => {
        equal([db.name, db.store, db.storageMode], ["main", name, api.storage]);
        const before = db.version;
        await db.kv().set("a", 1);
        ok(db.version > before, "each commit has a later version");
        const stats = await db.stats();
        for (const figure of ["rows", "blocks", "liveBytes", "logEntries", "cacheHits"])
          equal(typeof stats[figure], "number", figure);
      }),
  },
  {
    name: "two handles of one store share it, and each closes by itself",
    run: (api) =>
      withStore(api, async (db, name) => {
        const second = await api.open(name, { storage: api.storage });
        await db.kv().set("a", 1);
        equal(await second.kv().get("a"), 1);
        await second.close();
        await promises(api, () => second.kv().get("a"), "CLOSED");
        equal(await db.kv().get("a"), 1);
        equal(await second.closed, undefined);
      }),
  },
  {
    // R10
    name: "a row that one handle wrote, the next handle reads at once",
    run: (api) =>
      withStore(api, async (db, name) => {
        const second = await api.open(name, { storage: api.storage });
        for (let n = 0; n < 20; n++) {
          await (n % 2 === 0 ? db : second).kv().set("n", n);
          equal(await (n % 2 === 0 ? second : db).kv().get("n"), n);
        }
        await second.close();
      }),
  },
  {
    name: "every call after close is CLOSED, and closing again is no error",
    run: (api) =>
      withStore(api, async (root, name) => {
        const db = await api.open(name, { storage: api.storage });
        const rows = db.collection("rows");
        const kv = db.kv();
        const query = rows.find();
        const snapshot = await db.at(db.version);
        await Promise.all([db.close(), db.close()]);
        await db.close();
        for (const call of [
          () => rows.get("a"),
          () => rows.getMany(["a"]),
          () => rows.insert({}),
          () => rows.put({}),
          () => rows.update("a", {}),
          () => rows.delete("a"),
          () => rows.count(),
          () => query.toArray(),
          () => query.first(),
          () => query.page(1),
          () => query.count(),
          () => query[Symbol.asyncIterator]().next(),
          () => kv.get("a"),
          () => kv.set("a", 1),
          () => kv.has("a"),
          () => kv.list().toArray(),
          () => kv.count(),
          () => kv.deleteMany(["a"]),
          () => db.collection("x").get("a"),
          () => db.transaction(() => 1),
          () => db.at(root.version),
          () => db.clone("c"),
          () => db.database("main"),
          () => db.databases(),
          () => db.lineage(),
          () => db.status(),
          () => db.collections(),
          () => db.stats(),
          () => db.drop(),
          () => db.diff().toArray(),
          () => snapshot.collection("rows").get("a"),
        ]) {
          await promises(api, call, "CLOSED");
        }
        await throws(api, () => db.version, "CLOSED");
        equal(await root.kv().count(), 0);
      }),
  },
  {
    name: "destroying a store closes its handles, which say so",
    run: (api) =>
      withStore(api, async (db, name) => {
        const clone = await db.clone("copy");
        await db.kv().set("a", 1);
        await api.destroy(name, { storage: api.storage });
        for (const handle of [db, clone]) {
          ok(api.OffshootError.is(await handle.closed, "CLOSED"));
          await promises(api, () => handle.kv().get("a"), "CLOSED");
          await handle.close();
        }
        const fresh = await api.open(name, { storage: api.storage });
        equal(await fresh.kv().get("a"), undefined);
        equal((await fresh.databases()).length, 1);
        await fresh.close();
        await api.destroy(name, { storage: api.storage });
        await api.destroy(name, { storage: api.storage });
      }),
  },
  {
    name: "a store that is opened while it is being destroyed is a new one",
    run: (api) =>
      withStore(api, async (db, name) => {
        await db.kv().set("a", 1);
        // Caught at once: it may fail before anybody waits for it.
        const other = db.clone("copy").then((clone) => clone.closed).catch((error) => error);
        const destroying = api.destroy(name, { storage: api.storage });
        const opened = await Promise.all([1, 2, 3].map(() => api.open(name, { storage: api.storage })));
        await destroying;
        ok(api.OffshootError.is(await db.closed, "CLOSED"));
        ok(api.OffshootError.is(await other, "CLOSED"));
        for (const fresh of opened) {
          equal(await fresh.kv().count(), 0);
          await fresh.close();
        }
      }),
  },
  {
    name: "a call that is under way when its store closes is done, or CLOSED",
    run: (api) =>
      withStore(api, async (root, name) => {
        const own = `${name}-own`;
        for (let pauses = 0; pauses < 6; pauses++) {
          const db = await api.open(own, { storage: api.storage });
          const calls = [
            () => db.clone(`clone-${pauses}`),
            () => db.database("main"),
            () => db.databases(),
            () => db.collections(),
            () => db.at(db.version),
            () => db.stats(),
            () => db.compact(),
            () => db.transaction((tx) => tx.kv().set("b", 1)),
            () => db.kv().set("a", 1),
            () => db.collection("rows").find().toArray(),
            () => db.lineage(),
            () => db.materialize(),
          ];
          const outcomes = calls.map((call) => call().then(() => "done", (error) => error.code));
          for (let n = 0; n < pauses; n++) await tick();
          await db.close();
          for (const [index, outcome] of (await Promise.all(outcomes)).entries())
            ok(["done", "CLOSED", "NOT_A_CLONE"].includes(outcome), `${calls[index]} ends with ${outcome}`);
        }
        await api.destroy(own, { storage: api.storage });
      }),
  },
  {
    name: "a transaction whose handle is closed under it does not commit",
    run: (api) =>
      withStore(api, async (db, name) => {
        const second = await api.open(name, { storage: api.storage });
        const work = second.transaction(async (tx) => {
          await tx.kv().set("a", 1);
          await second.close();
          await tx.kv().set("b", 1);
        });
        await rejects(api, work, "CLOSED");
        equal(await db.kv().count(), 0);
      }),
  },
  {
    name: "a call that waits for a body or a stream of its caller is CLOSED once the handle is",
    run: (api) =>
      withStore(api, async (db, name) => {
        const never = () => new Promise(() => undefined);
        let isCancelled = false;
        const stalled = () => new ReadableStream({ pull: never, cancel: () => void (isCancelled = true) });
        const works = [(clone) => clone.transaction(never), (clone) => clone.import(stalled())];
        const ends = [(clone) => clone.close(), (clone) => clone.drop()];
        for (const [work, end] of works.flatMap((work) => ends.map((end) => [work, end]))) {
          const clone = await db.clone();
          isCancelled = false;
          const settled = rejects(api, work(clone), "CLOSED");
          await new Promise((resolve) => setTimeout(resolve, 5));
          await end(clone);
          await settled;
          equal(isCancelled, work === works.at(-1), "a source is cancelled");
        }
        const second = await api.open(name, { storage: api.storage });
        const settled = rejects(api, second.transaction(never), "CLOSED");
        await api.destroy(name, { storage: api.storage });
        await settled;
      }),
  },
  {
    name: "options that contradict those of the open store are INVALID_OPTION",
    run: (api) =>
      withStore(
        api,
        async (db, name) => {
          for (const options of [
            { durability: "strict" },
            { cacheBytes: 1 },
            { now: () => 1 },
            { history: { retain: "2h" } },
          ]) {
            await promises(api, () => api.open(name, { storage: api.storage, ...options }), "INVALID_OPTION");
          }
          for (const options of [
            {},
            { durability: "relaxed" },
            { history: { retain: 1_800_000 } },
            { storage: undefined },
          ]) {
            await (await api.open(name, { storage: api.storage, ...options })).close();
          }
          equal(await db.kv().count(), 0);
        },
        { history: { retain: "30m" } },
      ),
  },
  {
    name: "opening and closing in any order ends with everything closed",
    run: (api) =>
      withStore(api, async (db, name) => {
        await db.kv().set("a", 1);
        const opened = await Promise.all(Array.from({ length: 5 }, () => api.open(name, { storage: api.storage })));
        const [first, ...rest] = opened;
        const closing = first.close();
        const late = await api.open(name, { storage: api.storage });
        equal(await late.kv().get("a"), 1);
        await Promise.all([closing, late.close(), ...rest.map((handle) => handle.close())]);
        equal(await db.kv().get("a"), 1);
      }),
  },
  {
    name: "an open that its signal aborts is ABORTED and leaves no handle behind",
    run: (api) =>
      withStore(api, async (db, name) => {
        const abort = new AbortController();
        abort.abort("no");
        const early = await promises(
          api,
          () => api.open(name, { storage: api.storage, signal: abort.signal }),
          "ABORTED",
        );
        equal(early.cause, "no");
        const during = new AbortController();
        const opening = api.open(`${name}-other`, { storage: api.storage, signal: during.signal });
        during.abort("later");
        equal((await rejects(api, opening, "ABORTED")).cause, "later");
        await tick();
        await api.destroy(`${name}-other`, { storage: api.storage });
      }),
  },
  {
    name: "wrong names and options of open and destroy have their codes",
    run: async (api) => {
      for (const bad of [undefined, null, 5, {}, "\ud800"]) {
        await promises(api, () => api.open(bad, { storage: api.storage }), "INVALID_NAME");
        await promises(api, () => api.destroy(bad), "INVALID_NAME");
      }
      for (const options of [
        null,
        "memory",
        { storage: "disk" },
        { storage: {} },
        { storage: { contract: 2 } },
        { durability: "yes" },
        { cacheBytes: -1 },
        { cacheBytes: "1" },
        { repair: 1 },
        { now: 5 },
        { signal: 1 },
        { history: 5 },
        { history: {} },
        { history: { retain: "1 hour" } },
        { history: { retain: -1 } },
        { history: { retain: NaN } },
        { memory: true },
        { wasm: 5 },
        { database: 5 },
      ]) {
        const { details } = await promises(api, () => api.open("wrong-options", options), "INVALID_OPTION");
        if (options !== null && typeof options === "object") ok(typeof details.option === "string");
      }
      await promises(api, () => api.destroy("wrong-options", { durability: "strict" }), "INVALID_OPTION");
      await promises(
        api,
        () => api.open("wrong-options", { storage: api.storage, database: "nowhere" }),
        "DATABASE_NOT_FOUND",
      );
      await api.destroy("wrong-options", { storage: api.storage });
    },
  },
  {
    name: "`await using` closes a handle",
    run: (api) =>
      withStore(api, async (db, name) => {
        const second = await api.open(name, { storage: api.storage });
        const dispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");
        const snapshot = await second.at(second.version);
        await snapshot[dispose]();
        await promises(api, () => snapshot.kv().get("a"), "CLOSED");
        await second[dispose]();
        await promises(api, () => second.kv().get("a"), "CLOSED");
        equal(await db.kv().count(), 0);
      }),
  },
  {
    name: "an error is known across copies of the package, by its brand and codes",
    run: async (api) => {
      const error = await rejects(api, api.open(5), "INVALID_NAME");
      ok(error instanceof api.OffshootError && error instanceof Error);
      equal(error.name, "OffshootError");
      ok(api.OffshootError.is(error) && api.OffshootError.is(error, "CONFLICT", "INVALID_NAME"));
      ok(!api.OffshootError.is(error, "CONFLICT"));
      for (const other of [undefined, null, 5, "x", {}, new Error("x"), { code: "CONFLICT", message: "x" }])
        ok(!api.OffshootError.is(other));
      const copy = Object.assign(Object.create({ [Symbol.for("offshoot.error")]: true }), { code: "CONFLICT" });
      ok(api.OffshootError.is(copy, "CONFLICT"));
    },
  },
];
