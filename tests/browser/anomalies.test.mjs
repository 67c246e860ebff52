// The ten anomalies of the Hermitage suite, each between two tabs: serializable transactions must prevent them.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { onEachBackend, openIn, sees, storeName } from "./browser.mjs";

/** A transaction in a tab, led from here. */
async function begin(tab) {
  const handle = await tab.evaluateHandle(async () => {
    const { begin } = await import("/tests/browser/pages/stepwise.mjs");
    return begin(globalThis.db);
  });
  const end = (how) =>
    handle.evaluate(async (transaction, how) => {
      transaction[how]();
      return globalThis.attempt(() => transaction.done);
    }, how);
  return {
    get: (id) => handle.evaluate(async ({ tx }, id) => (await tx.collection("test").get(id))?.value, id),
    set: (id, value) => handle.evaluate(({ tx }, row) => tx.collection("test").put(row), { id, value }),
    insert: (id, value) => handle.evaluate(({ tx }, row) => tx.collection("test").insert(row), { id, value }),
    delete: (id) => handle.evaluate(({ tx }, id) => tx.collection("test").delete(id), id),
    all: () =>
      handle.evaluate(async ({ tx }) => (await tx.collection("test").find().toArray()).map((row) => row.value)),
    commit: async () => (await end("commit")).code ?? "committed",
    abort: () => end("abort"),
  };
}

const divisibleByThree = (values) => values.filter((value) => value % 3 === 0);

onEachBackend((browser) => {
  let tabs;
  let first;
  let second;

  beforeEach(async () => {
    tabs ??= [await browser.tab(), await browser.tab()];
    const name = storeName();
    for (const tab of tabs) await openIn(tab, name);
    await tabs[0].evaluate(() =>
      globalThis.db.collection("test").insertMany([
        { id: "1", value: 10 },
        { id: "2", value: 20 },
      ]),
    );
    await endsAs([10, 20]);
    first = await begin(tabs[0]);
    second = await begin(tabs[1]);
  });

  /** Checks the values that both tabs see in the end. */
  const endsAs = async (values) => {
    for (const tab of tabs) {
      await sees(tab, async (db) => (await db.collection("test").find().toArray()).map((row) => row.value), values);
    }
  };

  test("G0, dirty write: two transactions' writes of the same rows do not mix", async () => {
    await first.set("1", 11);
    await second.set("1", 12);
    await first.set("2", 21);
    assert.equal(await first.commit(), "committed");
    await second.set("2", 22);
    const outcome = await second.commit();
    await endsAs(outcome === "committed" ? [12, 22] : [11, 21]);
  });

  test("G1a, aborted read: nobody sees what is undone later", async () => {
    await first.set("1", 101);
    assert.deepEqual(await second.all(), [10, 20]);
    await first.abort();
    assert.deepEqual(await second.all(), [10, 20]);
    assert.equal(await second.commit(), "committed");
    await endsAs([10, 20]);
  });

  test("G1b, intermediate read: nobody sees a value that its transaction replaces", async () => {
    await first.set("1", 101);
    assert.deepEqual(await second.all(), [10, 20]);
    await first.set("1", 11);
    assert.equal(await first.commit(), "committed");
    assert.deepEqual(await second.all(), [10, 20]);
    assert.equal(await second.commit(), "committed");
    await endsAs([11, 20]);
  });

  test("G1c, circular information flow: of two that read what the other changes, one fails", async () => {
    await first.set("1", 11);
    await second.set("2", 22);
    assert.equal(await first.get("2"), 20);
    assert.equal(await second.get("1"), 10);
    assert.equal(await first.commit(), "committed");
    assert.equal(await second.commit(), "CONFLICT");
    await endsAs([11, 20]);
  });

  test("OTV, observed transaction vanishes: what was seen of a transaction stays, in all of its rows", async () => {
    await first.set("1", 11);
    await first.set("2", 19);
    await second.set("1", 12);
    assert.equal(await first.commit(), "committed");
    const third = await begin(tabs[0]);
    assert.equal(await third.get("1"), 11);
    await second.set("2", 18);
    assert.equal(await third.get("2"), 19);
    const outcome = await second.commit();
    assert.deepEqual([await third.get("2"), await third.get("1")], [19, 11]);
    assert.equal(await third.commit(), "committed");
    await endsAs(outcome === "committed" ? [12, 18] : [11, 19]);
  });

  test("PMP, predicate-many-preceders: a range reads the same twice, and guards who wrote by it", async () => {
    const third = await begin(tabs[0]);
    assert.deepEqual(divisibleByThree(await first.all()), []);
    assert.deepEqual(await third.all(), [10, 20]);
    await second.insert("3", 30);
    assert.equal(await second.commit(), "committed");
    assert.deepEqual(divisibleByThree(await first.all()), []);
    assert.equal(await first.commit(), "committed", "it only read");
    await third.delete("2");
    assert.equal(await third.commit(), "CONFLICT");
    await endsAs([10, 20, 30]);
  });

  test("P4, lost update: of two that changed what both had read, one fails", async () => {
    assert.deepEqual([await first.get("1"), await second.get("1")], [10, 10]);
    await first.set("1", 11);
    await second.set("1", 12);
    assert.equal(await first.commit(), "committed");
    assert.equal(await second.commit(), "CONFLICT");
    await endsAs([11, 20]);
  });

  test("G-single, read skew: rows are read as of one moment", async () => {
    assert.equal(await first.get("1"), 10);
    assert.deepEqual(await second.all(), [10, 20]);
    await second.set("1", 12);
    await second.set("2", 18);
    assert.equal(await second.commit(), "committed");
    assert.equal(await first.get("2"), 20);
    assert.equal(await first.commit(), "committed", "it only read");
    await endsAs([12, 18]);
  });

  test("G2-item, write skew: not both commit that read two rows and changed one each", async () => {
    assert.deepEqual(await first.all(), [10, 20]);
    assert.deepEqual(await second.all(), [10, 20]);
    await first.set("1", 11);
    await second.set("2", 21);
    assert.equal(await first.commit(), "committed");
    assert.equal(await second.commit(), "CONFLICT");
    await endsAs([11, 20]);
  });

  test("G2, anti-dependency cycle: not both commit that found a range empty and put a row into it", async () => {
    assert.deepEqual(divisibleByThree(await first.all()), []);
    assert.deepEqual(divisibleByThree(await second.all()), []);
    await first.insert("3", 30);
    await second.insert("4", 42);
    assert.equal(await first.commit(), "committed");
    assert.equal(await second.commit(), "CONFLICT");
    await endsAs([10, 20, 30]);
  });
});
