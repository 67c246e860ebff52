// Transactions from JavaScript: what they see, when they run again, how they end.
import { equal, ok, promises, rejects, throws } from "./assert.mjs";
import { withClone, withStore } from "./harness.mjs";

const tick = () => new Promise((resolve) => setTimeout(resolve, 1));

export const cases = [
  {
    name: "a transaction reads one snapshot and its own writes, and commits all at once",
    run: (api) =>
      withClone(api, async (clone) => {
        const notes = clone.collection("notes");
        let runs = 0;
        const result = await clone.transaction(async (tx) => {
          runs++;
          const mine = tx.collection("notes");
          await mine.update("a", { n: 10 });
          await mine.insert({ id: "d", n: 4 });
          await mine.delete("b");
          await tick();
          equal(
            (await mine.find().toArray()).map(({ id, n }) => [id, n]),
            [
              ["a", 10],
              ["c", 2],
              ["d", 4],
            ],
          );
          equal(await mine.count(), 3);
          equal((await notes.get("a")).n, 0, "outside nothing is seen yet");
          equal(await notes.count(), 3);
          equal(typeof tx.version, "string");
          return { done: [runs] };
        });
        equal(result, { done: [1] });
        equal(
          (await notes.find().toArray()).map(({ id, n }) => [id, n]),
          [
            ["a", 10],
            ["c", 2],
            ["d", 4],
          ],
        );
      }),
  },
  {
    name: "a transaction runs again if a row that it read was changed meanwhile",
    run: (api) =>
      withStore(api, async (db) => {
        await db.kv().set("n", 1);
        let runs = 0;
        await db.transaction(async (tx) => {
          runs++;
          const n = await tx.kv().get("n");
          if (runs === 1) await db.kv().set("n", 100);
          await tx.kv().set("n", n + 1);
        });
        equal([runs, await db.kv().get("n")], [2, 101]);
      }),
  },
  {
    name: "an insert into a range that was read makes the reader run again",
    run: (api) =>
      withStore(api, async (db) => {
        let runs = 0;
        await db.transaction(async (tx) => {
          runs++;
          const count = await tx.collection("rows").count();
          if (runs === 1) await db.collection("rows").insert({ id: "phantom" });
          await tx.kv().set("count", count);
        });
        equal([runs, await db.kv().get("count")], [2, 1]);
      }),
  },
  {
    name: "write skew is prevented unless snapshot isolation is asked for",
    run: (api) =>
      withStore(api, async (db) => {
        const offDuty = async (isolation) => {
          await db.kv().setMany([
            ["alice", "on"],
            ["bob", "on"],
          ]);
          const leave = (who, other) =>
            db.transaction(
              async (tx) => {
                const there = await tx.kv().get(other);
                await tick();
                if (there === "on") await tx.kv().set(who, "off");
              },
              { isolation },
            );
          await Promise.all([leave("alice", "bob"), leave("bob", "alice")]);
          return (await db.kv().getMany(["alice", "bob"])).filter((state) => state === "off").length;
        };
        equal(await offDuty(undefined), 1);
        equal(await offDuty("serializable"), 1);
        equal(await offDuty("snapshot"), 2);
      }),
  },
  {
    name: "transfers that compete neither make money nor lose it, and no reader sees half of one",
    run: (api) =>
      withStore(api, async (db) => {
        const accounts = ["a", "b", "c", "d", "e"];
        await db.collection("accounts").insertMany(accounts.map((id) => ({ id, balance: 100 })));
        const transfer = (n) =>
          db.transaction(
            async (tx) => {
              const rows = tx.collection("accounts");
              const [from, to] = [accounts[n % 5], accounts[(n * 3 + 1) % 5]];
              const { balance } = await rows.get(from);
              if (n % 3 === 0) await tick();
              await rows.update(from, { balance: balance - n });
              const other = await rows.get(to);
              await rows.update(to, { balance: other.balance + n });
            },
            { retries: 1000 },
          );
        const audit = async () => {
          await tick();
          const rows = await db.collection("accounts").find().toArray();
          equal(
            rows.reduce((sum, { balance }) => sum + balance, 0),
            500,
          );
        };
        await Promise.all(Array.from({ length: 40 }, (_, n) => (n % 4 === 3 ? audit() : transfer(n))));
        await audit();
      }),
  },
  {
    name: "after its retries a transaction fails with CONFLICT, which is retryable",
    run: (api) =>
      withStore(api, async (db) => {
        await db.kv().set("n", 0);
        let runs = 0;
        const work = db.transaction(
          async (tx) => {
            runs++;
            const n = await tx.kv().get("n");
            await db.kv().set("n", n + 1);
            await tx.kv().set("n", -1);
          },
          { retries: 2 },
        );
        const error = await rejects(api, work, "CONFLICT");
        equal([runs, error.retryable, await db.kv().get("n")], [3, true, 3]);
      }),
  },
  {
    name: "competing transactions all count",
    run: (api) =>
      withStore(api, async (db) => {
        await db.kv().set("n", 0);
        const add = () =>
          db.transaction(
            async (tx) => {
              const n = await tx.kv().get("n");
              await tick();
              await tx.kv().set("n", n + 1);
            },
            { retries: 1000 },
          );
        await Promise.all(Array.from({ length: 20 }, add));
        equal(await db.kv().get("n"), 20);
      }),
  },
  {
    name: "a transaction used after its end is CLOSED",
    run: (api) =>
      withClone(api, async (clone) => {
        for (const end of [async () => "done", async () => Promise.reject(new Error("mine"))]) {
          let kept;
          let rows;
          await clone
            .transaction(async (tx) => {
              kept = tx;
              rows = tx.collection("notes");
              await rows.get("a");
              return end();
            })
            .catch((error) => equal(error.message, "mine"));
          await promises(api, () => rows.get("a"), "CLOSED");
          await promises(api, () => rows.insert({}), "CLOSED");
          await promises(api, () => rows.find().toArray(), "CLOSED");
          await promises(api, () => kept.kv().get("a"), "CLOSED");
          await promises(api, () => kept.kv().set("a", 1), "CLOSED");
          await throws(api, () => kept.version, "CLOSED");
        }
        equal((await clone.kv().get("a")).n, 0);
      }),
  },
  {
    name: "calls that nobody awaited belong to the transaction",
    run: (api) =>
      withClone(api, async (clone) => {
        await clone.transaction((tx) => {
          void tx.collection("notes").insert({ id: "d" });
          void tx.kv().set("d", 1);
          void tx.collection("notes").update("a", { n: 5 });
        });
        equal(await clone.collection("notes").count(), 4);
        equal(await clone.kv().get("d"), 1);
        equal((await clone.collection("notes").get("a")).n, 5);
      }),
  },
  {
    name: "a call on a transaction that fails after the body's end, where nobody hears it, undoes the transaction",
    run: (api) =>
      withClone(api, async (clone) => {
        // The core may answer a call at once or later. Promised is only that its failure is heard, or undoes the
        // transaction.
        const heard = [];
        const work = clone.transaction((tx) => {
          for (const id of ["a", "bb", "ccc", "a"]) {
            tx.collection("notes")
              .insert({ id, late: true })
              .catch((error) => heard.push(error.code));
          }
        });
        const failed = await work.then(
          () => false,
          (error) => api.OffshootError.is(error, "KEY_EXISTS"),
        );
        equal(heard, ["KEY_EXISTS", "KEY_EXISTS"]);
        equal(await clone.collection("notes").count(), failed ? 3 : 5);
        equal((await clone.collection("notes").get("a")).late, undefined);
      }),
  },
  {
    name: "a call on a transaction that failed undoes it, unless somebody heard of it",
    run: (api) =>
      withClone(api, async (clone) => {
        const forgotten = [
          (tx) => tx.collection("notes").insert({ id: "a" }),
          (tx) => tx.collection("notes").put({ id: "x", f: () => 1 }),
          (tx) => tx.collection("notes").update("a", { $inc: { text: 1 } }),
          (tx) => tx.kv().setField("x", 1, 1),
        ];
        const codes = ["KEY_EXISTS", "INVALID_VALUE", "NOT_A_NUMBER", "INVALID_KEY"];
        for (const [index, forget] of forgotten.entries()) {
          const work = clone.transaction(async (tx) => {
            void forget(tx);
            await tx.collection("notes").put({ id: "good" });
            await tick();
            await tx.kv().set("good", 1);
          });
          await rejects(api, work, codes[index]);
        }
        equal([await clone.collection("notes").count(), await clone.kv().get("good")], [3, undefined]);
        const listened = [
          (call) => call.catch(() => undefined),
          (call) => call.then(undefined, () => undefined),
          (call) => call.finally(() => undefined).catch(() => undefined),
          (call) => Promise.allSettled([call]),
          (call) => Promise.any([call, Promise.resolve()]),
          async (call) => {
            try {
              await call;
            } catch {
              // The body has heard of the failure, so the transaction commits.
            }
          },
        ];
        for (const listen of listened) {
          await clone.transaction(async (tx) => {
            const late = tx.collection("notes").insert({ id: "a" });
            await tick();
            await listen(late);
            await tx.kv().set("good", 1);
          });
          equal(await clone.kv().delete("good"), true);
        }
      }),
  },
  {
    name: "onCommit tells the version once, and only if something was written",
    run: (api) =>
      withStore(api, async (db) => {
        const told = [];
        const onCommit = (version) => told.push(version);
        await db.transaction((tx) => tx.kv().set("a", 1), { onCommit });
        equal(told.length, 1);
        equal(told[0], db.version);
        await db.transaction((tx) => tx.kv().get("a"), { onCommit });
        await db.transaction((tx) => tx.kv().delete("nowhere"), { onCommit });
        await db
          .transaction(
            async (tx) => {
              await tx.kv().set("a", 2);
              throw new Error("mine");
            },
            { onCommit },
          )
          .catch((error) => equal(error.message, "mine"));
        equal(told.length, 1);
        equal(await db.kv().get("a"), 1);
      }),
  },
  {
    name: "an error caught inside leaves the transaction as it was before that call",
    run: (api) =>
      withClone(api, async (clone) => {
        await clone.transaction(async (tx) => {
          await tx.collection("notes").insert({ id: "first" });
          await rejects(api, tx.collection("notes").insertMany([{ id: "second" }, { id: "a" }]), "KEY_EXISTS");
          await rejects(api, tx.collection("notes").insert({ id: "first" }), "KEY_EXISTS");
          await rejects(
            api,
            tx.kv().set("x", () => 1),
            "INVALID_VALUE",
          );
          equal(await tx.collection("notes").get("second"), undefined);
          await tx.collection("notes").insert({ id: "third" });
        });
        equal(
          (await clone.collection("notes").find().toArray()).map((row) => row.id),
          ["a", "b", "c", "first", "third"],
        );
      }),
  },
  {
    name: "a signal ends a transaction with ABORTED and its reason, and nothing is written",
    run: (api) =>
      withStore(api, async (db) => {
        const early = new AbortController();
        const reason = new Error("enough");
        early.abort(reason);
        let ran = false;
        const first = await rejects(
          api,
          db.transaction(() => (ran = true), { signal: early.signal }),
          "ABORTED",
        );
        equal([ran, first.cause === reason], [false, true]);
        const during = new AbortController();
        let rows;
        const work = db.transaction(
          async (tx) => {
            await tx.kv().set("a", 1);
            rows = tx.kv();
            during.abort(reason);
            await new Promise(() => undefined);
          },
          { signal: during.signal },
        );
        ok((await rejects(api, work, "ABORTED")).cause === reason);
        await promises(api, () => rows.get("a"), "CLOSED");
        equal(await db.kv().count(), 0);
        const late = new AbortController();
        await db.transaction((tx) => tx.kv().set("a", 1), { signal: late.signal });
        late.abort();
        equal(await db.kv().get("a"), 1);
      }),
  },
  {
    name: "wrong arguments of a transaction are INVALID_OPTION, and the body never runs",
    run: (api) =>
      withStore(api, async (db) => {
        let ran = false;
        const body = () => (ran = true);
        for (const bad of [undefined, null, 5, {}]) await promises(api, () => db.transaction(bad), "INVALID_OPTION");
        for (const options of [
          null,
          5,
          { isolation: "none" },
          { retries: -1 },
          { retries: 1.5 },
          { retry: 1 },
          { durability: "lax" },
          { onCommit: 1 },
          { signal: 1 },
        ]) {
          await promises(api, () => db.transaction(body, options), "INVALID_OPTION");
        }
        equal(ran, false);
      }),
  },
  {
    name: "a generator, of which a call runs nothing, is refused as a body and as a listener",
    run: (api) =>
      withStore(api, async (db) => {
        const generators = [function* () {}, async function* () {}];
        for (const generator of generators) {
          await promises(api, () => db.transaction(generator), "INVALID_OPTION");
          await promises(api, () => db.transaction(() => 1, { onCommit: generator }), "INVALID_OPTION");
          await promises(api, () => db.materialize({ onProgress: generator }), "INVALID_OPTION");
        }
      }),
  },
  {
    name: "an iteration gives no row once its transaction has ended",
    run: (api) =>
      withStore(api, async (db) => {
        await db.collection("rows").putMany(["a", "b", "c"].map((id) => ({ id })));
        await db.kv().setMany(["a", "b", "c"].map((key) => [key, 1]));
        const iterations = [];
        await db.transaction(async (tx) => {
          for (const all of [tx.collection("rows").find(), tx.kv().list()]) {
            iterations.push(all[Symbol.asyncIterator]());
            ok(!(await iterations.at(-1).next()).done);
            iterations.push(all[Symbol.asyncIterator]());
          }
        });
        for (const iteration of iterations) await promises(api, () => iteration.next(), "CLOSED");
      }),
  },
  {
    // C10
    name: "a transaction that has ended pins no history, however it ended and whoever keeps it",
    run: (api) =>
      withStore(
        api,
        async (db) => {
          const kv = db.kv();
          const rows = async (transact) => {
            await transact();
            for (let i = 0; i < 300; i++) await kv.set("a", i);
            await db.compact();
            return (await db.stats()).rows;
          };
          const alone = await rows(async () => undefined);
          const kept = [];
          const keep = async (tx) => {
            kept.push(tx, tx.kv(), tx.kv().list()[Symbol.asyncIterator]());
            await tx.kv().get("a");
          };
          const abort = new AbortController();
          for (const transact of [
            () => db.transaction(keep),
            () => db.transaction(async (tx) => (await keep(tx), tx.kv().set("a", -1))),
            () => db.transaction((tx) => keep(tx).then(() => Promise.reject(new Error("mine")))).catch(() => undefined),
            () =>
              db
                .transaction(async (tx) => (await keep(tx), abort.abort(), new Promise(() => undefined)), {
                  signal: abort.signal,
                })
                .catch(() => undefined),
          ]) {
            equal(await rows(transact), alone, String(transact));
          }
          equal(kept.length, 12);
        },
        { history: { retain: 0 } },
      ),
  },
  {
    name: "a body may return what it likes, promise or not",
    run: (api) =>
      withStore(api, async (db) => {
        const map = new Map();
        ok((await db.transaction(() => map)) === map);
        equal(await db.transaction(() => undefined), undefined);
        equal(await db.transaction(async () => null), null);
        const thrown = await db
          .transaction(() => {
            throw "text";
          })
          .catch((error) => error);
        equal(thrown, "text");
      }),
  },
];
