// Offshoot, Dexie and idb in the same page, in turn within each round, and the least that the host allows.
import { makeDocument } from "./page/documents.mjs";
import { order } from "./figures.mjs";

export const contenders = ["offshoot", "dexie", "idb"];
const runners = [...contenders, "bare"];

/** The task of the page, its options, and what it measures. */
const lives = (count) => ({
  task: "life",
  options: { count },
  rows: [
    { key: "bulk-insert", name: `bulk-insert-${count}`, title: `${count} documents inserted in bulk` },
    { key: "reads", name: `reads-${count}`, title: `1,000 awaited reads by id of ${count}, reopened` },
    { key: "scan", name: `scan-${count}`, title: `all ${count} into objects, reopened` },
    { key: "scan-again", name: `scan-again-${count}`, title: `all ${count} into objects, once more` },
    { key: "opening", name: `opening-${count}`, title: `open() to the first read, ${count} stored` },
  ],
});
const singles = (durability) => ({
  task: "singleInserts",
  options: { durability },
  rows: [
    {
      key: "single-inserts",
      name: `single-inserts-${durability}`,
      title: `1,000 awaited single inserts, ${durability}`,
    },
  ],
});

export const suites = [lives(10_000), lives(100_000), singles("relaxed"), singles("strict")];

/** Runs the suites that have a row which is wanted. Gives rows: name, title, samples in milliseconds by contender. */
export async function compare(bench, { rounds, wants, tell }) {
  const rows = [];
  for (const suite of suites) {
    const wanted = suite.rows.filter((row) => wants(row.name));
    if (wanted.length === 0) continue;
    const page = await bench.page();
    const samples = Object.fromEntries(runners.map((who) => [who, {}]));
    for (let round = 0; round < rounds; round++) {
      for (const who of order(runners, round)) {
        tell(`${wanted[0].name} …: round ${round + 1} of ${rounds}, ${who}`);
        const figures = await bench.call(page, suite.task, { who, round, ...suite.options });
        for (const [key, values] of Object.entries(figures)) (samples[who][key] ??= []).push(...values);
      }
    }
    await page.close();
    for (const { key, name, title } of wanted) {
      const taken = Object.fromEntries(runners.map((who) => [who, samples[who][key]]));
      rows.push({ name, title: grouped(title), samples: taken });
    }
  }
  return rows;
}

const grouped = (title) => title.replaceAll(/\d{5,}/g, (digits) => Number(digits).toLocaleString("en-US"));

const COLD = 10_000;

/** A page that is loaded, its module included, opens a store that lies there, and reads: since it was asked for. */
export async function compareCold(bench, { rounds, wants, tell }) {
  const [since, open] = ["cold-page", "cold-opening"];
  if (!wants(since) && !wants(open)) return [];
  const page = await bench.page();
  for (const who of contenders) await bench.call(page, "fillFor", { who, name: `${who}-cold`, count: COLD });
  await page.close();
  const samples = { [since]: {}, [open]: {} };
  for (let round = 0; round < rounds; round++) {
    for (const who of order(contenders, round)) {
      tell(`cold: round ${round + 1} of ${rounds}, ${who}`);
      const { id } = makeDocument(Math.floor((COLD / rounds) * (round + 0.5)));
      const visited = await bench.page(`cold-${who}.html#${encodeURIComponent(`${who}-cold ${id}`)}`);
      const { sinceNavigation, sinceOpen } = await visited.evaluate(() => globalThis.answer);
      await visited.close();
      (samples[since][who] ??= []).push(sinceNavigation);
      (samples[open][who] ??= []).push(sinceOpen);
    }
  }
  const stored = `${COLD.toLocaleString("en-US")} stored`;
  const rows = [
    { name: since, title: `a page from its address to its first read, ${stored}`, samples: samples[since] },
    { name: open, title: `open() to the first read, the module not yet loaded, ${stored}`, samples: samples[open] },
  ];
  return rows.filter((row) => wants(row.name));
}
