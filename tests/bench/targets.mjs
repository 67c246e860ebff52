// The targets, and the figures that reach or miss them. A miss is reported, and fails nothing: timing is no test.
import { median, shown } from "./figures.mjs";

const MIB = 1024 * 1024;

/** How many times Dexie's time a row's time goes into, at least. */
const faster = [
  ["bulk-insert-10000", 7],
  ["reads-10000", 10],
  ["reads-100000", 10],
  ["scan-10000", 1.5],
  ["scan-100000", 1.5],
];

/**
 * How many times a row takes what bare bytes take, at most. Where the host itself is most of the time, a ratio to Dexie
 * says nothing: an append of bare bytes is about 1.7 times as fast as Dexie's insert, and opening a database and
 * reading one record about 1.8 times as fast as Dexie's opening, so no store in IndexedDB can be 2 or 4 times as fast.
 */
const nearBare = [
  ["single-inserts-relaxed", 1.5],
  ["opening-100000", 3],
];

const atMost = (name, measured, bound, show) => ({
  name,
  measured: show(measured),
  bound: `at most ${show(bound)}`,
  ok: measured <= bound,
});
const times = (number) => `${shown(number)} times`;

export function judgeCompared(rows) {
  const judged = [];
  for (const [name, bound] of faster) {
    const row = rows.find((row) => row.name === name);
    if (row === undefined) continue;
    const ratio = median(row.samples.dexie) / median(row.samples.offshoot);
    const target = { name, measured: `${times(ratio)} as fast as Dexie`, bound: `at least ${times(bound)}` };
    judged.push({ ...target, ok: ratio >= bound });
  }
  for (const [name, bound] of nearBare) {
    const row = rows.find((row) => row.name === name);
    if (row === undefined) continue;
    const ratio = median(row.samples.offshoot) / median(row.samples.bare);
    judged.push(atMost(name, ratio, bound, (number) => `${times(number)} what bare bytes take`));
  }
  return judged;
}

export function judgeOpening(figures) {
  const [small, large] = [figures["opening-1000-true"], figures["opening-100000-true"]].map(median);
  return [atMost("opening-after-checkpoint", large / small, 1.5, times)];
}

export function judgeClones(figures) {
  const [small, large] = [figures["clones-1000"], figures["clones-100000"]];
  const most = Math.max(...small.bytes, ...large.bytes);
  return [
    atMost("clone-time", median(large.times) / median(small.times), 1.5, times),
    atMost("clone-size", most, 1024, (bytes) => shown(bytes, "bytes")),
  ];
}

export function judgeManyClones({ 1: one, 1000: thousand }) {
  const slower = (what) => median(thousand[what]) / median(one[what]);
  const judged = ["opening", "reads", "commits"].map((what) =>
    atMost(`${what}-beside-1000-clones`, slower(what), 1.5, (number) => `${times(number)} as long as beside one`),
  );
  return [...judged, atMost("clone-with-10-changes", thousand.bytes, 65_536, (bytes) => shown(bytes, "bytes"))];
}

export function judgeDepth(figures) {
  return Object.entries(figures).map(([where, costs]) =>
    atMost(`depth-8-read-in-${where}`, median(costs[8]) / median(costs[0]), 3, times),
  );
}

export function judgeDrafts(figures) {
  const { rewrite, merge, diff, scan, materialize, bulk, write, restore } = figures;
  const ratio = (one, other) => median(one) / median(other);
  const faster = ratio(scan, diff);
  const judged = { name: "diff-of-100", measured: `${times(faster)} as fast as a scan`, bound: "at least 50 times" };
  return [
    atMost("clone-change-100-merge", ratio(merge, rewrite), 3, (number) => `${times(number)} the change alone`),
    { ...judged, ok: faster >= 50 },
    atMost("materialize", ratio(materialize, bulk), 2, (number) => `${times(number)} a bulk insert`),
    atMost("restore-1000", ratio(restore, write), 2, (number) => `${times(number)} writing them`),
  ];
}

/** The time grows with the fields, not with their square. */
export function judgeWide(figures) {
  return Object.entries(figures).map(([what, took]) =>
    atMost(`wide-document-${what}`, median(took), 100, (time) => shown(time, "ms")),
  );
}

/** A deletion costs little more than an insert; rows that are counted, and rows deleted before a head, are not read. */
export function judgeRows({ insert, delete: deleted, count, longest, before, behind }) {
  const milliseconds = (time) => shown(time, "ms");
  return [
    atMost("delete-by-ids", median(deleted) / median(insert), 1.2, (number) => `${times(number)} an insert`),
    atMost("count-300000", median(count), 100, milliseconds),
    atMost("count-300000-longest-wait", median(longest), 50, milliseconds),
    atMost("head-behind-270000-deleted", median(behind) / median(before), 2, times),
  ];
}

/** Reads are counted on a storage of Maps. They must not grow with what is stored beside what a call needs. */
export function judgeCosts(costs) {
  const reads = (number) => `${number} reads`;
  return [
    atMost("memory-of-a-compaction", costs.compaction, 12 * MIB, (bytes) => shown(bytes / MIB, "MiB")),
    atMost("get-many-of-1000-cold", costs.manyReads, 20, reads),
    atMost("get-many-of-twice-as-many", costs.twice, 3, times),
    atMost("validation-of-100000-rows", costs.validationReads, 20, reads),
    atMost("validation-of-100000-rows-took", costs.validationTook, 100, (time) => shown(time, "ms")),
    atMost("rebase-below-the-floor", costs.rebaseReads, 20, reads),
    atMost("listing-of-1000-databases", costs.listedReads, 20, reads),
  ];
}

export function judgeMemory(figures) {
  const show = (bytes) => shown(bytes / MIB, "MiB");
  return [
    atMost("memory-of-pages", figures.readPages.together, 24 * MIB, show),
    atMost("memory-of-an-iterator", figures.iterate.together, 24 * MIB, show),
  ];
}

/** A commit's memory does not grow with its rows, as a scan's does not. */
export function judgeLargeCommits(figures) {
  const show = (bytes) => shown(bytes / MIB, "MiB");
  return Object.entries(figures).map(([what, { together }]) =>
    atMost(`memory-of-a-large-${what}`, together, 24 * MIB, show),
  );
}

export function judgeSpace(figures) {
  return Object.entries(figures).map(([what, left]) => {
    const judged = { name: `space-of-what-is-${what}`, measured: `${shown((1 - left) * 100, "%")} comes back` };
    return { ...judged, bound: "at least 95 %", ok: left <= 0.05 };
  });
}

export function judgeSize({ js, wasm }) {
  return [atMost("shipped", js + wasm, 150_000, (bytes) => shown(bytes / 1000, "KB"))];
}
