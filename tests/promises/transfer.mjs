// Exports and imports from JavaScript: rows come back as a plain model has them, and a failure leaves nothing.
import { equal, ok, promises, throws } from "./assert.mjs";
import { contents, withClone, withStore } from "./harness.mjs";
import { values } from "./values.mjs";

const scalars = ["", "a", "é😀\0", 0, -0.5, 1e300, -7, Uint8Array.of(), Uint8Array.of(0, 255)];
const keys = [...scalars, ["a", 1], ["a", 1, "b"], [2]];

/** All bytes of a stream. */
async function bytesOf(stream) {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A stream of these bytes, in pieces; `told` learns why it was cancelled. */
function streamOf(bytes, size, told = {}) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, (at += size)));
    },
    cancel(reason) {
      told.reason = reason;
    },
  });
}

/** A store with so many rows, and its export. */
async function exported(api, count, text = 200) {
  let bytes;
  await withStore(api, async (db) => {
    const row = (n) => ({ id: String(n).padStart(6, "0"), n, text: "x".repeat(text) });
    await db.collection("notes").insertMany(Array.from({ length: count }, (_, n) => row(n)));
    bytes = await bytesOf(db.export());
  });
  return bytes;
}

/** Runs `work` and finds the database as it was. */
async function unchanged(db, work) {
  const before = { ...(await contents(db)), version: db.version, collections: await db.collections() };
  const result = await work();
  equal({ ...(await contents(db)), version: db.version, collections: await db.collections() }, before);
  return result;
}

export const cases = [
  {
    // R8, R9
    name: "every value under every kind of key comes back in another store",
    run: (api) =>
      withStore(api, async (db) => {
        const documents = Object.entries(values).map(([name, value]) => ({ id: name, value }));
        documents.push({ id: "all", ...values });
        await db.collection("notes").insertMany(documents);
        await db.kv().setMany(keys.map((key, n) => [key, { n, key }]));
        await db.kv("values").setMany(Object.entries(values));
        await db.collection("empty").delete(await db.collection("empty").insert({}));
        const bytes = await bytesOf(db.export());
        await withStore(api, async (other) => {
          equal(await other.import(bytes), {
            documents: documents.length,
            entries: keys.length + Object.keys(values).length,
          });
          for (const document of documents) equal(await other.collection("notes").get(document.id), document);
          for (const [n, key] of keys.entries()) equal(await other.kv().get(key), { n, key });
          for (const [name, value] of Object.entries(values)) equal(await other.kv("values").get(name), value, name);
          equal(await contents(other), await contents(db));
          equal(await other.collections(), await db.collections());
        });
      }),
  },
  {
    // R1, R2, R4
    name: "a clone is exported as it reads, and so is a snapshot",
    run: (api) =>
      withClone(api, async (clone, origin) => {
        await clone.collection("notes").update("a", { text: "changed" });
        await clone.collection("notes").delete("b");
        await clone.kv().delete("c");
        const { version } = clone;
        await clone.collection("notes").insert({ id: "later" });
        await origin.collection("notes").insert({ id: "unseen" });
        const past = await clone.at(version);
        for (const subject of [clone, past, origin]) {
          const bytes = await bytesOf(subject.export());
          await withStore(api, async (other) => {
            await other.import(bytes);
            equal(await contents(other), await contents(subject));
          });
        }
        await past.close();
        await throws(api, () => past.export(), "CLOSED");
      }),
  },
  {
    name: "an export is of the moment of the call, and is read as it is pulled",
    run: (api) =>
      withStore(api, async (db) => {
        const rows = Array.from({ length: 4000 }, (_, n) => ({ id: `r${n}`, text: "x".repeat(100) }));
        await db.collection("notes").insertMany(rows);
        const told = [];
        const stream = db.export({ onProgress: (progress) => told.push(progress) });
        await db.collection("notes").insert({ id: "later" });
        const reader = stream.getReader();
        const first = (await reader.read()).value;
        ok(first instanceof Uint8Array && first.length < 100_000, "a piece is small");
        equal(told, [{ rowsDone: told[0].rowsDone, bytesDone: first.length }]);
        let bytes = first.length;
        for (let read = await reader.read(); !read.done; read = await reader.read()) bytes += read.value.length;
        equal(told.at(-1), { rowsDone: 4000, bytesDone: bytes });
        ok(told.length > 4, "it came in several pieces");
        // An export that is cancelled gives back its memory.
        const unwanted = db.export();
        await unwanted.cancel();
        const half = db.export().getReader();
        await half.read();
        await half.cancel("enough");
        equal(await half.read(), { done: true, value: undefined });
      }),
  },
  {
    name: "an import takes a stream in pieces of any size, and tells how far it is",
    run: async (api) => {
      const bytes = await exported(api, 300);
      for (const size of [1000, 65_536, bytes.length]) {
        await withStore(api, async (db) => {
          const told = [];
          const onProgress = (progress) => told.push(progress);
          equal(await db.import(streamOf(bytes, size), { onProgress }), { documents: 300, entries: 0 });
          equal(told.at(-1), { rowsDone: 300, bytesDone: bytes.length });
          equal(await db.collection("notes").count(), 300);
          equal(await db.collection("notes").get("000007"), { id: "000007", n: 7, text: "x".repeat(200) });
        });
      }
    },
  },
  {
    name: "an export goes through other streams, packed say",
    run: (api) =>
      withStore(api, async (db) => {
        await db.collection("notes").insertMany(Array.from({ length: 500 }, (_, n) => ({ id: `r${n}`, n })));
        const packed = await bytesOf(db.export().pipeThrough(new CompressionStream("gzip")));
        const clone = await db.clone("copy");
        await clone.collection("notes").deleteMany(Array.from({ length: 500 }, (_, n) => `r${n}`));
        await clone.import(new Response(packed).body.pipeThrough(new DecompressionStream("gzip")));
        equal(await clone.diff().toArray(), []);
        await clone.close();
      }),
  },
  {
    name: "a row that is there fails the import unless it is to be replaced",
    run: async (api) => {
      for (const count of [20, 6000]) {
        const bytes = await exported(api, count);
        await withStore(api, async (db) => {
          await db.collection("notes").insert({ id: "000003", mine: true });
          await unchanged(db, async () => {
            const { details } = await promises(api, () => db.import(bytes), "KEY_EXISTS");
            equal(details, { collection: "notes", key: "000003", outcome: "none" });
          });
          equal(await db.import(bytes, { replace: true }), { documents: count, entries: 0 });
          equal(await db.collection("notes").get("000003"), { id: "000003", n: 3, text: "x".repeat(200) });
        });
        await withStore(api, async (db) => {
          await db.kv("notes").set("a", 1);
          const { version } = db;
          await promises(api, () => db.import(bytes, { replace: true }), "WRONG_KIND");
          equal([db.version, await db.kv("notes").list().toArray()], [version, [["a", 1]]]);
        });
      }
    },
  },
  {
    name: "others read and write while an import is under way",
    run: async (api) => {
      const bytes = await exported(api, 8000);
      await withStore(api, async (db, name) => {
        const second = await api.open(name, { storage: api.storage });
        let pieces = 0;
        const source = new ReadableStream({
          async pull(controller) {
            if (pieces * 100_000 >= bytes.length) return controller.close();
            await second.kv().set(`k${pieces}`, pieces);
            equal(await second.collection("notes").count(), 0);
            controller.enqueue(bytes.slice(pieces * 100_000, ++pieces * 100_000));
          },
        });
        await db.import(source);
        equal(await second.collection("notes").count(), 8000);
        equal(await second.kv().count(), pieces);
        await second.close();
      });
    },
  },
  {
    name: "an export that is cut off or damaged changes nothing, and says where",
    run: async (api) => {
      const bytes = await exported(api, 3000);
      await withStore(api, async (db) => {
        for (const length of [0, 10, 1000, bytes.length - 1]) {
          const cut = bytes.slice(0, length);
          const { details } = await unchanged(db, () => promises(api, () => db.import(cut), "INVALID_IMPORT"));
          ok(Number.isSafeInteger(details.frame) && details.offset <= length, "it says where");
        }
        const told = {};
        const flipped = bytes.slice();
        flipped[200_000] ^= 1;
        const error = await unchanged(db, () =>
          promises(api, () => db.import(streamOf(flipped, 5000, told)), "INVALID_IMPORT"),
        );
        ok(error.details.frame > 1 && error.details.offset <= 200_000 && error.details.offset > 100_000);
        ok(error.message.includes(`frame=${error.details.frame}, offset=${error.details.offset}`));
        equal(told.reason, error, "the source is not read to its end");
        equal(await db.import(bytes), { documents: 3000, entries: 0 });
      });
    },
  },
  {
    name: "a signal ends an export and an import, which leaves nothing",
    run: async (api) => {
      const bytes = await exported(api, 6000);
      await withStore(api, async (db) => {
        const early = AbortSignal.abort("early");
        equal((await promises(api, () => db.import(bytes, { signal: early }), "ABORTED")).cause, "early");
        equal((await promises(api, () => db.export({ signal: early }).getReader().read(), "ABORTED")).cause, "early");
        const told = {};
        const late = new AbortController();
        const onProgress = ({ rowsDone }) => rowsDone > 2000 && late.abort("late");
        const options = { signal: late.signal, onProgress };
        const error = await unchanged(db, () =>
          promises(api, () => db.import(streamOf(bytes, 10_000, told), options), "ABORTED"),
        );
        equal([error.cause, told.reason], ["late", error]);
        // A signal ends the import also while the source does not answer.
        const stuck = new AbortController();
        const waiting = db.import(new ReadableStream({}), { signal: stuck.signal });
        stuck.abort("stuck");
        equal((await promises(api, () => waiting, "ABORTED")).cause, "stuck");
        await db.import(bytes);
        const half = new AbortController();
        const reader = db.export({ signal: half.signal }).getReader();
        await reader.read();
        half.abort("half");
        equal((await promises(api, () => reader.read(), "ABORTED")).cause, "half");
      });
    },
  },
  {
    name: "an error of the caller's own stream or function is thrown on unchanged",
    run: async (api) => {
      const bytes = await exported(api, 100);
      await withStore(api, async (db) => {
        const thrown = new TypeError("the network is gone");
        const failing = () =>
          new ReadableStream({
            start: (controller) => controller.enqueue(bytes.slice(0, 500)),
            pull: (controller) => controller.error(thrown),
          });
        const complain = () => {
          throw thrown;
        };
        const later = async () => complain();
        const works = [
          () => db.import(streamOf(bytes, 100), { onProgress: later }),
          () => db.export({ onProgress: later }).pipeTo(new WritableStream()),
          () => db.import(failing()),
          () => db.import(streamOf(bytes, 100), { onProgress: complain }),
          () => db.export({ onProgress: complain }).pipeTo(new WritableStream()),
        ];
        for (const work of works) {
          const caught = await unchanged(db, () =>
            work().then(
              () => "it did not fail",
              (error) => error,
            ),
          );
          ok(caught === thrown, `it comes out unchanged: ${caught}`);
        }
      });
    },
  },
  {
    name: "wrong sources and options are INVALID_OPTION, and a closed database is CLOSED",
    run: (api) =>
      withStore(api, async (db, name) => {
        for (const source of [undefined, null, 5, "bytes", {}, [1], new ArrayBuffer(8)]) {
          await promises(api, () => db.import(source), "INVALID_OPTION");
        }
        const locked = db.export();
        locked.getReader();
        await promises(api, () => db.import(locked), "INVALID_OPTION");
        const texts = new ReadableStream({ start: (controller) => controller.enqueue("text") });
        await promises(api, () => db.import(texts), "INVALID_OPTION");
        for (const options of [null, 5, { replace: 1 }, { onProgress: {} }, { signal: {} }, { salvage: true }]) {
          await promises(api, () => db.import(Uint8Array.of(), options), "INVALID_OPTION");
        }
        for (const options of [null, { salvage: 1 }, { onProgress: 1 }, { replace: true }, { signal: 5 }]) {
          await throws(api, () => db.export(options), "INVALID_OPTION");
        }
        const second = await api.open(name, { storage: api.storage });
        const reader = second.export().getReader();
        await second.close();
        await promises(api, () => reader.read(), "CLOSED");
        await throws(api, () => second.export(), "CLOSED");
        await promises(api, () => second.import(Uint8Array.of()), "CLOSED");
      }),
  },
  {
    name: "a salvage of an undamaged database is an export that says so",
    run: (api) =>
      withClone(api, async (clone) => {
        const told = [];
        const bytes = await bytesOf(clone.export({ salvage: true, onProgress: (progress) => told.push(progress) }));
        equal(told.at(-1), { rowsDone: 6, bytesDone: bytes.length, skipped: 0 });
        await withStore(api, async (other) => {
          equal(await other.import(bytes), { documents: 3, entries: 3, skipped: 0 });
          equal(await contents(other), await contents(clone));
        });
      }),
  },
];
