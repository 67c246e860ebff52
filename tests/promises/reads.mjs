// SEMANTICS R1 to R4 and R6 to R9 from JavaScript, and how documents are listed.
import { equal, ok, promises, throws } from "./assert.mjs";
import { all, contents, withClone, withStore } from "./harness.mjs";

const ids = (rows) => rows.map((row) => row.id);

export const cases = [
  {
    // R1, R2
    name: "a read falls through layers to the nearest version, and a tombstone on the way hides all below it",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").delete("a");
        await clone.collection("notes").update("b", { n: 10 });
        const second = await clone.clone("second");
        await second.collection("notes").update("c", { n: 20 });
        const third = await second.clone("third");
        const expected = [
          { id: "b", text: "B", n: 10, tags: ["b"] },
          { id: "c", text: "C", n: 20, tags: ["c"] },
        ];
        equal(await third.collection("notes").find().toArray(), expected);
        equal(await third.collection("notes").getMany(["c", "a", "b"]), [expected[1], undefined, expected[0]]);
        equal(await third.collection("notes").get("a"), undefined);
        equal(await third.collection("notes").count(), 2);
        await clone.kv().delete("a");
        const fourth = await clone.clone("fourth");
        equal(await fourth.kv().get("a"), undefined);
        equal(await fourth.kv().has("a"), false);
        equal(await fourth.kv().getMany(["a", "b"]), [undefined, { n: 1, text: "b" }]);
        equal(await origin.collection("notes").count(), 3);
        await Promise.all([second.close(), third.close(), fourth.close()]);
      }),
  },
  {
    // R3
    name: "skip, limit, paging and count apply to the merged rows, each key once",
    run: (api) =>
      withStore(api, async (db) => {
        const name = (n) => `row${String(n).padStart(4, "0")}`;
        await db
          .collection("rows")
          .insertMany(Array.from({ length: 1000 }, (_, n) => ({ id: name(n), n, by: "origin" })));
        const clone = await db.clone("copy");
        const rows = clone.collection("rows");
        const model = new Map(Array.from({ length: 1000 }, (_, n) => [name(n), { id: name(n), n, by: "origin" }]));
        for (let n = 0; n < 1000; n += 7) {
          model.delete(name(n));
          await rows.delete(name(n));
        }
        const changed = Array.from({ length: 200 }, (_, n) => ({ id: name(n * 6 + 1), n: -n, by: "clone" }));
        await rows.putMany(changed);
        for (const row of changed) model.set(row.id, row);
        const expected = [...model.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
        equal(await rows.find().toArray(), expected);
        equal(await all(rows.find()), expected);
        equal(await rows.count(), expected.length);
        equal(await rows.find().skip(37).limit(111).toArray(), expected.slice(37, 148));
        equal(await rows.find().limit(111).skip(37).count(), 111);
        equal(
          await rows
            .find()
            .skip(expected.length - 5)
            .count(),
          5,
        );
        equal(await rows.find().skip(5000).toArray(), []);
        equal(await rows.find().limit(0).toArray(), []);
        equal(await rows.find().first(), expected[0]);
        equal(await rows.find().skip(3).first(), expected[3]);
        equal(await rows.find().skip(5000).first(), undefined);
        await clone.close();
      }),
  },
  {
    name: "pages go on behind each other until the query's own limit",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        await rows.insertMany(Array.from({ length: 25 }, (_, n) => ({ id: String.fromCharCode(97 + n) })));
        const everything = ids(await rows.find().toArray());
        for (const [query, expected] of [
          [rows.find(), everything],
          [rows.find().skip(3), everything.slice(3)],
          [rows.find().limit(10), everything.slice(0, 10)],
          [rows.find().skip(2).limit(14), everything.slice(2, 16)],
        ]) {
          for (const size of [1, 7, 10, 14, 25, 100]) {
            const read = [];
            let next;
            let pages = 0;
            do {
              const page = await (next === undefined ? query : query.after(next)).page(size);
              ok(page.rows.length <= size && page.rows.length > 0);
              equal(Object.hasOwn(page, "next"), page.next !== undefined);
              read.push(...ids(page.rows));
              next = page.next;
              pages++;
            } while (next !== undefined);
            equal(read, expected);
            equal(pages, Math.ceil(expected.length / size));
          }
        }
        const { next } = await rows.find().limit(10).page(4);
        equal(await rows.find().limit(10).after(next).count(), 6);
        equal(await rows.find().limit(10).after(next).first(), { id: "e" });
        equal(await rows.find().page(30), { rows: await rows.find().toArray() });
      }),
  },
  {
    name: "a query never changes: each call gives a new one",
    run: (api) =>
      withClone(api, async (clone) => {
        const query = clone.collection("notes").find();
        const limited = query.limit(1);
        equal(ids(await query.toArray()), ["a", "b", "c"]);
        equal(ids(await limited.toArray()), ["a"]);
        equal(ids(await limited.skip(1).toArray()), ["b"]);
        equal(ids(await limited.toArray()), ["a"]);
      }),
  },
  {
    name: "iterating reads one snapshot, whatever is written meanwhile",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        const big = "x".repeat(2000);
        await rows.insertMany(Array.from({ length: 600 }, (_, n) => ({ id: `r${String(n).padStart(4, "0")}`, big })));
        await db.kv().setMany(Array.from({ length: 600 }, (_, n) => [n, big]));
        const seen = [];
        for await (const row of rows.find()) {
          if (seen.length === 10) {
            await rows.deleteMany(["r0500", "r0599"]);
            await rows.insert({ id: "r0300x" });
            await rows.update("r0400", { big: "changed" });
          }
          equal(row.big, big);
          seen.push(row.id);
        }
        equal(seen.length, 600);
        let entries = 0;
        for await (const [key, value] of db.kv().list()) {
          if (entries === 10)
            await db.kv().setMany([
              [599, "changed"],
              [10_000, "new"],
            ]);
          equal([key, value], [entries, big]);
          entries++;
        }
        equal(entries, 600);
      }),
  },
  {
    name: "an iteration that is left early gives back what it holds",
    run: (api) =>
      withClone(api, async (clone) => {
        for (let round = 0; round < 20; round++) {
          for await (const row of clone.collection("notes").find()) {
            equal(row.id, "a");
            break;
          }
          for await (const [key] of clone.kv().list()) {
            equal(key, "a");
            break;
          }
        }
        equal(await clone.collection("notes").count(), 3);
      }),
  },
  {
    // R4
    name: "a clone never sees what its origin does later, in documents and KV, by any kind of read",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        const before = await contents(clone);
        await origin.collection("notes").insert({ id: "aa" });
        await origin.collection("notes").update("a", { text: "later" });
        await origin.collection("notes").delete("b");
        await origin.kv().set("a", "later");
        await origin.kv().setField("b", "n", "later");
        await origin.kv().delete("c");
        await origin.kv().set("new", 1);
        equal(await contents(clone), before);
        equal(await clone.collection("notes").get("a"), before.notes[0]);
        equal(await clone.collection("notes").getMany(["aa", "b"]), [undefined, before.notes[1]]);
        equal(await clone.collection("notes").count(), 3);
        equal(await clone.kv().get("a"), { n: 0, text: "a" });
        equal(await clone.kv().count(), 3);
        equal(await clone.kv().has("new"), false);
      }),
  },
  {
    // R6
    name: "at() reads a database as it was, by version and by time",
    run: async (api) => {
      let now = 1_000_000;
      await withStore(
        api,
        async (db) => {
          const rows = db.collection("rows");
          await rows.insert({ id: "a", n: 1 });
          const first = db.version;
          now += 1000;
          await rows.update("a", { n: 2 });
          await rows.insert({ id: "b" });
          const second = await db.at(first);
          equal(second.version, first);
          equal(second.predatesClone, false);
          equal(await second.collection("rows").find().toArray(), [{ id: "a", n: 1 }]);
          equal(await second.collection("rows").get("b"), undefined);
          const byTime = await db.at(new Date(now - 500));
          equal(await byTime.collection("rows").get("a"), { id: "a", n: 1 });
          now += 1000;
          const clone = await db.clone("copy");
          await clone.collection("rows").delete("a");
          const early = await clone.at(new Date(now - 500));
          equal(early.predatesClone, true);
          equal(await early.collection("rows").find().toArray(), []);
          equal(await early.kv().count(), 0);
          ok(db.version >= first, "versions are comparable as text");
          await Promise.all([second, byTime, early].map((snapshot) => snapshot.close()));
          await promises(api, () => second.collection("rows").get("a"), "CLOSED");
          await clone.close();
        },
        { now: () => now },
      );
    },
  },
  {
    // R7
    name: "a database that is no clone says so",
    run: (api) =>
      withStore(api, async (db) => {
        equal(await db.status(), { state: "root" });
        equal(
          (await db.lineage()).map((entry) => entry.name),
          ["main"],
        );
      }),
  },
  {
    // R9
    name: "keys that look alike are different keys",
    run: (api) =>
      withStore(api, async (db) => {
        const keys = [
          "",
          "a",
          "A",
          "a\0",
          "a\0b",
          "á",
          "a\u0301",
          " a",
          "1",
          1,
          1.5,
          -1,
          Uint8Array.of(97),
          Uint8Array.of(49),
          ["a"],
          ["a", "b"],
          ["ab"],
          [1],
          ["1"],
          ["a", 1],
          [Uint8Array.of(97)],
          "a,b",
          "\uffff",
          "😀",
        ];
        await db.kv().setMany(keys.map((key, index) => [key, index]));
        for (const [index, key] of keys.entries()) equal(await db.kv().get(key), index, String(key));
        equal(await db.kv().count(), keys.length);
        equal(await db.kv().deleteMany(["a", ["a"], 1]), 3);
        equal(await db.kv().get("a\0"), keys.indexOf("a\0"));
        equal(await db.kv().get("1"), keys.indexOf("1"));
        const texts = ["a", "A", "a\0", "a\0\0", "á", "a\u0301", "ab", "a b", "\u{10ffff}", "z"];
        await db.collection("t").insertMany(texts.map((id, index) => ({ id, index })));
        for (const [index, id] of texts.entries()) equal(await db.collection("t").get(id), { id, index });
        await db.collection("t").delete("a");
        equal(await db.collection("t").count(), texts.length - 1);
      }),
  },
  {
    name: "a wrong skip, limit, size or cursor is INVALID_OPTION",
    run: (api) =>
      withStore(api, async (db) => {
        const query = db.collection("rows").find();
        for (const bad of [-1, 1.5, NaN, "3", null, Infinity, undefined]) {
          await throws(api, () => query.skip(bad), "INVALID_OPTION");
          await throws(api, () => query.limit(bad), "INVALID_OPTION");
          await promises(api, () => query.page(bad), "INVALID_OPTION");
        }
        await promises(api, () => query.page(0), "INVALID_OPTION");
        const strangers = ["", "abc", 5, null, "1", "[]", '["rows"]', '["rows",1]', '["rows","a",1]', "{}"];
        for (const bad of strangers)
          await throws(api, () => query.after(bad), "INVALID_OPTION");
      }),
  },
  {
    name: "a cursor goes on behind its page under any new limit, and is refused where it is not of the query",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = db.collection("rows");
        await rows.putMany(["a", "b", "c", "d", "e"].map((id) => ({ id })));
        await db.collection("others").putMany(["a", "z"].map((id) => ({ id })));
        const ids = async (query) => (await query.toArray()).map(({ id }) => id);
        const { next } = await rows.find().page(2);
        equal(await ids(rows.find().after(next).limit(2)), ["c", "d"]);
        equal(await ids(rows.find().limit(2).after(next)), ["c", "d"]);
        equal(await rows.find().after(next).limit(2).count(), 2);
        equal(await rows.find().after(next).limit(1).first(), { id: "c" });
        await throws(api, () => db.collection("others").find().after(next), "INVALID_OPTION");
        // The limit of a query that has one counts its pages together; another limit makes it another query.
        const limited = (await rows.find().limit(4).page(3)).next;
        equal(await ids(rows.find().limit(4).after(limited)), ["d"]);
        equal(await rows.find().limit(4).after(limited).page(3), { rows: [{ id: "d" }] });
        for (const other of [rows.find().limit(5).after(limited), rows.find().after(limited)]) {
          for (const call of [() => other.toArray(), () => other.page(1), () => other.first(), () => other.count()])
            await promises(api, call, "INVALID_OPTION");
        }
        // A clone's rows are the same collection's.
        const draft = await db.clone();
        equal(await ids(draft.collection("rows").find().after(next)), ["c", "d", "e"]);
        await draft.close();
      }),
  },
];
