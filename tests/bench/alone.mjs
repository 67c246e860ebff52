// Measures that only Offshoot has a figure for: clones, a cache with a budget, the size of the module.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { serveApp } from "./site.mjs";

const MIB = 1024 * 1024;
const [SMALL, LARGE] = [1000, 100_000];

/** Opening a store of many documents and one of few, before and after the log was moved into a run. */
export async function measureOpening(bench, { rounds, tell }) {
  const figures = {};
  const page = await bench.page();
  for (const checkpointed of [false, true]) {
    const stores = [SMALL, LARGE].map((count) => ({ count, name: `opening-${count}-${checkpointed}` }));
    for (const { count, name } of stores) {
      await bench.call(page, "fillStore", { name, count, checkpointed });
      figures[name] = [];
    }
    for (let round = 0; round < rounds; round++) {
      tell(`opening, checkpointed: ${checkpointed}, round ${round + 1} of ${rounds}`);
      for (const { count, name } of round % 2 === 0 ? stores : [...stores].reverse()) {
        figures[name].push(...(await bench.call(page, "openings", { who: "offshoot", name, count, times: 5 })));
      }
    }
    for (const { name } of stores) await bench.call(page, "destroy", name);
  }
  await page.close();
  return figures;
}

/** Cloning a store of many documents and one of few: how long one takes, and what it adds. */
export async function measureClones(bench, { rounds, tell }) {
  const figures = {};
  const page = await bench.page();
  const stores = [SMALL, LARGE].map((count) => ({ count, name: `clones-${count}` }));
  for (const store of stores) {
    await bench.call(page, "fillStore", { ...store, checkpointed: true });
    figures[store.name] = { times: [], bytes: [] };
  }
  for (let round = 0; round < rounds; round++) {
    tell(`clones: round ${round + 1} of ${rounds}`);
    for (const store of round % 2 === 0 ? stores : [...stores].reverse()) {
      const { times, bytes } = await bench.call(page, "cloneCosts", { ...store, round });
      figures[store.name].times.push(...times);
      figures[store.name].bytes.push(bytes);
    }
  }
  for (const { name } of stores) await bench.call(page, "destroy", name);
  await page.close();
  return figures;
}

/** The costs of a store with 1,000 clones and of one with a single clone. */
export async function measureManyClones(bench, { rounds, tell }) {
  const figures = {};
  const page = await bench.page();
  const stores = [1, 1000].map((clones) => ({ name: `cloned-${clones}`, count: 10_000, clones, changed: 10 }));
  for (const store of stores) {
    tell(`many-clones: making ${store.clones}`);
    const bytes = await bench.call(page, "fillCloned", store);
    figures[store.clones] = { bytes, opening: [], reads: [], commits: [] };
  }
  for (let round = 0; round < rounds; round++) {
    tell(`many-clones: round ${round + 1} of ${rounds}`);
    for (const { clones, ...store } of round % 2 === 0 ? stores : [...stores].reverse()) {
      const costs = await bench.call(page, "clonedCosts", { ...store, round });
      for (const [what, took] of Object.entries(costs)) figures[clones][what].push(took);
    }
  }
  for (const { name } of stores) await bench.call(page, "destroy", name);
  await page.close();
  return figures;
}

/** Reading through a chain of clones and in the root, their rows in the log or in a run. */
export async function measureDepth(bench, { rounds, tell }) {
  const figures = {};
  const page = await bench.page();
  for (const checkpointed of [false, true]) {
    tell(`reads through clones, checkpointed: ${checkpointed}`);
    const costs = await bench.call(page, "depthCosts", { count: 10_000, checkpointed, rounds });
    figures[checkpointed ? "run" : "log"] = costs;
  }
  await page.close();
  return figures;
}

/** Drafting in a clone beside doing the same without one. */
export async function measureDrafts(bench, { rounds, tell }) {
  const figures = {};
  const page = await bench.page();
  const given = { name: "drafts", count: LARGE };
  await bench.call(page, "fillDrafts", given);
  for (let round = 0; round < rounds; round++) {
    tell(`drafts: round ${round + 1} of ${rounds}`);
    const costs = await bench.call(page, "draftCosts", { ...given, round });
    for (const [name, took] of Object.entries(costs)) (figures[name] ??= []).push(took);
  }
  await bench.call(page, "destroy", given.name);
  await page.close();
  return figures;
}

/** Documents of 8,000 fields: half of them set, a quarter removed, compared, merged. */
export async function measureWide(bench, { rounds, tell }) {
  const figures = {};
  const page = await bench.page();
  for (let round = 0; round < rounds; round++) {
    tell(`wide-documents: round ${round + 1} of ${rounds}`);
    const store = `wide-${round}`;
    const costs = await bench.call(page, "wideCosts", { store });
    for (const [name, took] of Object.entries(costs)) (figures[name] ??= []).push(took);
    await bench.call(page, "destroy", store);
  }
  await page.close();
  return figures;
}

/** Counting, deleting, and reading the head of what is left, of many small documents. */
export async function measureRows(bench, { rounds, tell }) {
  const figures = {};
  const page = await bench.page();
  for (let round = 0; round < rounds; round++) {
    tell(`rows: round ${round + 1} of ${rounds}`);
    const store = `rows-${round}`;
    const costs = await bench.call(page, "rowCosts", { store, count: 3 * LARGE });
    for (const [name, took] of Object.entries(costs)) (figures[name] ??= []).push(took);
    await bench.call(page, "destroy", store);
  }
  await page.close();
  return figures;
}

/** The reads of calls, on a storage that counts them, and the memory of a compaction. */
export async function measureCosts(bench, { documents, tell }) {
  tell("costs: reads of the storage are counted");
  const page = await bench.page();
  const counted = await bench.call(page, "countedCosts", { count: LARGE });
  await page.close();
  tell(`costs: a store of ${documents} documents is compacted`);
  const given = { name: "compacted", count: documents, cacheBytes: 4 * MIB };
  const filling = await bench.page();
  await bench.call(filling, "fillLarge", given);
  await filling.close();
  const compacting = await bench.page();
  await bench.call(compacting, "startModule");
  const compaction = await bench.call(compacting, "compactionGrowth", given);
  await bench.call(compacting, "destroy", given.name);
  await compacting.close();
  return { ...counted, compaction };
}

const LOOK = 50;

/** Scans a store in pages, looking at both memories every so often; gives by how much they grew at most. */
export async function measureMemory(bench, { documents, tell }) {
  const given = { name: "large", count: documents, cacheBytes: 4 * MIB };
  tell(`memory: filling a store with ${documents} documents`);
  const filling = await bench.page();
  const filled = await bench.call(filling, "fillLarge", given);
  await filling.close();
  const figures = { filled };
  for (const how of ["readPages", "iterate"]) {
    const page = await bench.page();
    const heap = await heapOf(page);
    const wasmBefore = await bench.call(page, "startModule");
    const heapBefore = await heap();
    await bench.call(page, "openLarge", given);
    const grown = { wasm: 0, heap: 0, together: 0 };
    for (let more = true, rows = 0; more; ) {
      tell(`memory: ${how}, ${rows} of ${documents}`);
      const seen = await bench.call(page, how, { pages: LOOK });
      ({ more, rows } = seen);
      const [wasm, used] = [seen.wasmBytes - wasmBefore, (await heap()) - heapBefore];
      grown.wasm = Math.max(grown.wasm, wasm);
      grown.heap = Math.max(grown.heap, used);
      grown.together = Math.max(grown.together, wasm + used);
      if (!more && rows !== documents) throw new Error(`${rows} documents were read, and ${documents} are stored`);
    }
    grown.stats = await bench.call(page, "closeLarge");
    figures[how] = grown;
    await page.close();
  }
  const page = await bench.page();
  await bench.call(page, "destroy", given.name);
  await page.close();
  return figures;
}

/** The memory and the time of large commits, each in a page of its own, with another tab at work. */
export async function measureLargeCommits(bench, { documents, tell }) {
  const given = { name: "commits", count: documents, cacheBytes: 4 * MIB };
  tell(`large-commits: filling a store with ${documents} documents`);
  const filling = await bench.page();
  await bench.call(filling, "fillLarge", given);
  await bench.call(filling, "openForCommits", given);
  await bench.call(filling, "doLarge", { what: "change", count: documents });
  await bench.call(filling, "closeForCommits");
  await filling.close();
  const [figures, commits] = [{}, { merge: true, restore: false, import: false }];
  let before;
  for (const [what, isChanged] of Object.entries(commits)) {
    tell(`large-commits: ${what}`);
    const [page, other] = [await bench.page(), await bench.page()];
    const heap = await heapOf(page);
    const opened = await bench.call(page, "openForCommits", given);
    const heapBefore = await heap();
    await bench.call(other, "beginBeside", given);
    const done = await bench.call(page, "doLarge", { what, count: documents, from: before });
    before = done.before;
    const beside = await bench.call(other, "endBeside");
    const grown = { wasm: done.wasmBytes - opened, heap: (await heap()) - heapBefore };
    figures[what] = { ...grown, together: grown.wasm + grown.heap, took: done.took, beside };
    await bench.call(page, "checkLarge", { count: documents, isChanged });
    await bench.call(page, "closeForCommits");
    await Promise.all([page.close(), other.close()]);
  }
  const page = await bench.page();
  for (const name of [given.name, "imported"]) await bench.call(page, "destroy", name);
  await page.close();
  return figures;
}

/** The part of the bytes of 100,000 documents that is not given back once they are gone. */
export async function measureSpace(bench, { tell }) {
  tell("space: filling and clearing");
  const page = await bench.page();
  const figures = await bench.call(page, "spaceLeft", { name: "space", count: LARGE });
  await page.close();
  return figures;
}

/** A function that gives the bytes of a page's JavaScript heap that are in use once all garbage is collected. */
async function heapOf(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.enable");
  return async () => {
    await session.send("HeapProfiler.collectGarbage");
    return (await session.send("Runtime.getHeapUsage")).usedSize;
  };
}

/** The bytes, after gzip, that an app loads which only imports the package and opens a store. */
export async function measureSize(bench) {
  const app = await serveApp(`import { open } from "offshoot";
open("app").then((db) => db.close()).then(() => { document.title = "ready"; });`);
  const page = await bench.context.newPage();
  try {
    const requests = [];
    page.on("request", (request) => requests.push(new URL(request.url()).pathname));
    await page.goto(app.url);
    await page.waitForFunction(() => document.title === "ready");
    const figures = {};
    for (const path of requests.filter((path) => /\.(js|wasm)$/.test(path))) {
      const bytes = gzipSync(await readFile(join(app.folder, path)), { level: 9 }).length;
      const kind = path.endsWith(".wasm") ? "wasm" : "js";
      figures[kind] = (figures[kind] ?? 0) + bytes;
    }
    return figures;
  } finally {
    await page.close();
    await app.close();
  }
}
