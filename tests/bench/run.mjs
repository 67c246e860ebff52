// Measures Offshoot beside Dexie and idb in Chromium, and its clones, memory and size by themselves.
//   node run.mjs [--only NAME,…] [--rounds 5] [--backend leveldb|sqlite] [--documents 500000] [--markdown] [--samples]
// `--only` takes names and their beginnings: `reads` is `reads-10000` and `reads-100000`. The report names the targets
// that are missed; the exit code says only whether all could be measured.
import { stat } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { launch } from "../tools/chromium.mjs";
import * as alone from "./alone.mjs";
import { compare, compareCold } from "./compared.mjs";
import { median, shown } from "./figures.mjs";
import { report } from "./report.mjs";
import { serveBench, versionOf } from "./site.mjs";
import * as targets from "./targets.mjs";

const { values: options } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    backend: { type: "string", default: "leveldb" },
    documents: { type: "string", default: "500000" },
    markdown: { type: "boolean", default: false },
    samples: { type: "boolean", default: false },
  },
});
const rounds = wholeNumber("rounds");
const documents = wholeNumber("documents");
const wished = options.only.split(",").filter((name) => name !== "");
const wants = (name) => wished.length === 0 || wished.some((wish) => name === wish || name.startsWith(`${wish}-`));
const tell = (line) => process.stderr.write(`${line}\n`);

function wholeNumber(name) {
  const number = Number(options[name]);
  if (Number.isSafeInteger(number) && number > 0) return number;
  console.error(`--${name} must be a whole number, 1 or more. value=${options[name]}`);
  process.exit(1);
}

const MIB = 1024 * 1024;
const milliseconds = (samples) => shown(median(samples), "ms");
const mebibytes = (bytes) => shown(bytes / MIB, "MiB");

/** The pages in one browser, and how a task of them is called. */
async function openBench() {
  const site = await serveBench();
  const context = await launch({ backend: options.backend, args: ["--js-flags=--expose-gc"] });
  const page = async (path = "main.html") => {
    const opened = await context.newPage();
    const complaints = [];
    opened.on("pageerror", (error) => complaints.push(String(error)));
    await opened.goto(`${site.url}/${path}`);
    await opened.waitForFunction(() => document.title === "ready").catch((error) => {
      throw new Error(`a page did not come up. path=${path}, complaints=${complaints.join("; ")}`, { cause: error });
    });
    return opened;
  };
  const call = (page, task, given) =>
    page.evaluate(([task, given]) => globalThis.bench[task](given), [task, given]);
  const close = async () => {
    await context.close();
    await site.close();
  };
  return { context, page, call, close };
}

/** The parts of a run, each with its name, its measure, the judgement of its figures, and notes for the report. */
const parts = [
  {
    name: "opening-after-checkpoint",
    measure: (bench) => alone.measureOpening(bench, { rounds, tell }),
    judge: targets.judgeOpening,
    notes: (figures) =>
      ["false", "true"].map((checkpointed) => {
        const [small, large] = [1000, 100_000].map((count) => figures[`opening-${count}-${checkpointed}`]);
        const when = checkpointed === "true" ? "after a checkpoint" : "as filled in bulk";
        const took = `${milliseconds(small)} of 1,000, ${milliseconds(large)} of 100,000`;
        return `open() to the first read, ${when}: ${took}`;
      }),
  },
  {
    name: "clone",
    measure: (bench) => alone.measureClones(bench, { rounds, tell }),
    judge: targets.judgeClones,
    notes: (figures) => [
      `a clone takes ${milliseconds(figures["clones-1000"].times)} of 1,000 documents, ` +
        `${milliseconds(figures["clones-100000"].times)} of 100,000`,
    ],
  },
  {
    name: "many-clones",
    measure: (bench) => alone.measureManyClones(bench, { rounds, tell }),
    judge: targets.judgeManyClones,
    notes: (figures) =>
      Object.entries(figures).map(
        ([clones, { opening, reads, commits }]) =>
          `of 10,000 documents beside ${clones} clones: opened in ${milliseconds(opening)}, 1,000 read in ` +
          `${milliseconds(reads)}, 200 written in ${milliseconds(commits)}`,
      ),
  },
  {
    name: "depth-8-read",
    measure: (bench) => alone.measureDepth(bench, { rounds, tell }),
    judge: targets.judgeDepth,
    notes: (figures) =>
      Object.entries(figures).map(
        ([where, costs]) =>
          `a hot read takes ${shown(median(costs[0]), "µs")} in the root, ` +
          `${[1, 4, 8].map((depth) => shown(median(costs[depth]), "µs")).join(", ")} through 1, 4 and 8 clones ` +
          `whose own rows lie in the ${where}`,
      ),
  },
  {
    name: "drafts",
    measure: (bench) => alone.measureDrafts(bench, { rounds, tell }),
    judge: targets.judgeDrafts,
    notes: ({ rewrite, merge, diff, scan, materialize, bulk, write, restore }) => [
      `of 100,000 documents, 100 read and written: ${milliseconds(rewrite)}; in a clone, and merged: ` +
        `${milliseconds(merge)}; the diff of 100: ${milliseconds(diff)}, all of them read: ${milliseconds(scan)}`,
      `a clone of 100,000 documents is materialized in ${milliseconds(materialize)}, a bulk insert takes ` +
        `${milliseconds(bulk)}; 1,000 are written in ${milliseconds(write)}, restored in ${milliseconds(restore)}`,
    ],
  },
  {
    name: "wide-document",
    measure: (bench) => alone.measureWide(bench, { rounds, tell }),
    judge: targets.judgeWide,
    notes: () => [],
  },
  {
    name: "rows",
    measure: (bench) => alone.measureRows(bench, { rounds, tell }),
    judge: targets.judgeRows,
    notes: ({ insert, delete: deleted, before, behind }) => [
      `of 300,000 documents one is inserted in ${shown(median(insert) * 1000, "µs")} and deleted in ` +
        `${shown(median(deleted) * 1000, "µs")}; the head is read in ${milliseconds(before)}, and behind 270,000 ` +
        `deleted ones in ${milliseconds(behind)}`,
    ],
  },
  {
    name: "costs",
    measure: (bench) => alone.measureCosts(bench, { documents, tell }),
    judge: targets.judgeCosts,
    notes: ({ validationTook, rebaseReads, smallRebaseReads, listed }) => [
      `a transaction that has read 100,000 documents commits in ${shown(validationTook, "ms")} after 100 others; ` +
        `1,000 databases are listed in ${shown(listed, "ms")}`,
      `a clone older than the history is rebased over 20 changes with ${rebaseReads} reads, ` +
        `in a quarter of the store with ${smallRebaseReads}`,
    ],
  },
  {
    name: "memory",
    measure: (bench) => alone.measureMemory(bench, { documents, tell }),
    judge: targets.judgeMemory,
    notes: ({ filled, readPages, iterate }) => [
      `${documents.toLocaleString("en-US")} documents take ${mebibytes(filled.blockBytes)} in storage; ` +
        `filling the store left ${mebibytes(filled.wasmBytes)} of wasm memory`,
      ...Object.entries({ "in pages": readPages, "one by one": iterate }).map(
        ([how, { wasm, heap }]) =>
          `scanned ${how}: wasm memory grew by ${mebibytes(wasm)}, the JavaScript heap by ${mebibytes(heap)}`,
      ),
    ],
  },
  {
    name: "large-commits",
    measure: (bench) => alone.measureLargeCommits(bench, { documents, tell }),
    judge: targets.judgeLargeCommits,
    notes: (figures) =>
      Object.entries(figures).map(
        ([what, { took, wasm, heap, beside }]) =>
          `one ${what} of ${documents.toLocaleString("en-US")} documents takes ${shown(took, "ms")}; wasm memory ` +
          `grows by ${mebibytes(wasm)}, the heap by ${mebibytes(heap)}; another tab reads and commits ` +
          `${beside.rounds} times meanwhile, each in ${shown(beside.longest, "ms")} at most`,
      ),
  },
  {
    name: "space",
    measure: (bench) => alone.measureSpace(bench, { tell }),
    judge: targets.judgeSpace,
    notes: () => [],
  },
  {
    name: "shipped",
    measure: (bench) => alone.measureSize(bench),
    judge: targets.judgeSize,
    notes: ({ js, wasm }) => [
      `after gzip: ${shown(js / 1000, "KB")} of JavaScript, ${shown(wasm / 1000, "KB")} of wasm`,
    ],
  },
];

async function measureAll(bench) {
  const rows = await compare(bench, { rounds, wants, tell });
  rows.push(...(await compareCold(bench, { rounds, wants, tell })));
  const [judged, notes, samples] = [targets.judgeCompared(rows), [], {}];
  for (const row of rows) samples[row.name] = row.samples;
  for (const part of parts.filter(({ name }) => wants(name))) {
    const figures = await part.measure(bench);
    samples[part.name] = figures;
    judged.push(...part.judge(figures));
    notes.push(...part.notes(figures));
  }
  return { rows, targets: judged, notes, samples };
}

const bench = await openBench();
try {
  const version = bench.context.browser()?.version() ?? "";
  const { samples, ...measured } = await measureAll(bench);
  const versions = Object.fromEntries(["offshoot", "dexie", "idb"].map((name) => [name, versionOf(name)]));
  const { size } = await stat(new URL("../../pkg/dist/offshoot_core_bg.wasm", import.meta.url));
  measured.notes.push(
    `Chromium ${version} (${options.backend}), ${cpus().length} cores; medians of ${rounds} rounds; ` +
      `a module of ${size.toLocaleString("en-US")} bytes`,
  );
  // Other work of the machine can slow the measures down, so the report tells how much there was.
  tell(`load of the machine while this ran, in processes: ${loadavg().map((load) => load.toFixed(1)).join(", ")}`);
  console.log(report({ ...measured, versions, markdown: options.markdown }));
  if (options.samples) console.log(`\n${JSON.stringify(samples)}`);
} finally {
  await bench.close();
}
