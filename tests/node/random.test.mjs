// Random calls on databases, clones of clones, transactions and snapshots: the package against the model, which copies
// everything for a clone. Both must show the same (SEMANTICS R1 to R4, R6, W1 to W10, C11).
import assert from "node:assert/strict";
import { test } from "node:test";
import * as real from "../../pkg/dist/node.js";
import { openModel } from "./model/api.mjs";
import { Script, everything, outcome } from "./script.mjs";

const first = Number(process.env.SEED ?? 1);
const SEEDS = Number(process.env.SEEDS ?? 150);
const STEPS = 80;
const DATABASES = 6;
const model = await openModel();

/** One database in both worlds, and what happens to both. */
class Pair {
  constructor(one, other) {
    this.both = [one, other];
  }

  /** Runs the same on both sides, compares, and returns the two outcomes. */
  async compare(name, work) {
    const [one, other] = [await outcome(() => work(this.both[0], 0)), await outcome(() => work(this.both[1], 1))];
    assert.deepStrictEqual(one, other, name);
    return [one, other];
  }

  clone(name, at) {
    const outcomes = this.both.map((database, side) => outcome(() => database.clone(name, at && { at: at[side] })));
    return Promise.all(outcomes).then(([one, other]) => {
      assert.equal(one.code, other.code);
      return one.code === undefined ? new Pair(one.value, other.value) : undefined;
    });
  }
}

const inOrder = (changes) =>
  changes
    .map((change) => (change.fields === undefined ? change : { ...change, fields: [...change.fields].sort() }))
    .sort((one, other) => (label(one) < label(other) ? -1 : 1));
const label = ({ kind, collection, key }) =>
  `${kind} ${collection} ${JSON.stringify(key instanceof Uint8Array ? [key] : key)} ${typeof key}`;

/** The kinds of a step by name. `often` names each kind as many times as it shall weigh. */
const steps = {
  async call(script, pair) {
    const { name, run } = script.call();
    await pair.compare(name, run);
  },
  async transaction(script, pair) {
    const calls = Array.from({ length: 1 + script.below(5) }, () => script.call());
    const fails = script.below(3) === 0;
    await pair.compare(`a transaction of ${calls.map(({ name }) => name)}`, (database) =>
      database.transaction(async (tx) => {
        const outcomes = [];
        for (const { run } of calls) outcomes.push(await outcome(() => run(tx)));
        if (fails) throw Object.assign(new Error("the body's own"), { code: "MINE" });
        return [outcomes, await everything(tx)];
      }),
    );
  },
  async clone(script, pair, world) {
    if (world.pairs.length >= DATABASES) return;
    const point = script.below(2) === 0 ? world.points.find(({ of }) => of === pair) : undefined;
    const made = await pair.clone(`clone${world.pairs.length}`, point?.versions);
    if (made !== undefined) world.pairs.push(made);
  },
  async remember(_, pair, world) {
    world.points.unshift({ of: pair, versions: pair.both.map(({ version }) => version) });
  },
  async lookBack(script, _, world) {
    if (world.points.length === 0) return;
    const { of, versions } = script.pick(world.points);
    await of.compare("a past", async (database, side) => {
      const snapshot = await database.at(versions[side]);
      const shown = await everything(snapshot);
      await snapshot.close();
      return shown;
    });
  },
  async diff(script, pair, world) {
    const other = script.pick(world.pairs);
    await pair.compare("a diff with another", async (database, side) =>
      inOrder(await database.diff({ against: other.both[side] }).toArray()),
    );
    if (pair !== world.pairs[0])
      await pair.compare("a diff", async (database) => inOrder(await database.diff().toArray()));
  },
  async show(_, __, world) {
    for (const pair of world.pairs) await pair.compare("contents", everything);
  },
};
const often = [
  "call",
  "call",
  "call",
  "call",
  "call",
  "call",
  "transaction",
  "transaction",
  "clone",
  "remember",
  "lookBack",
  "diff",
  "show",
];

async function runSeed(seed) {
  const script = new Script(seed);
  const name = `random-${seed}`;
  const roots = [await real.open(name, { storage: "memory" }), await model.open(name, { storage: "memory" })];
  const world = { pairs: [new Pair(...roots)], points: [] };
  for (let step = 0; step < STEPS; step++) await steps[script.pick(often)](script, script.pick(world.pairs), world);
  await steps.show(script, undefined, world);
  for (const { both } of world.pairs) for (const database of both) await database.close();
  return world.pairs.length;
}

test(`${SEEDS} random scripts from SEED=${first} on show what the model shows`, async () => {
  let databases = 0;
  for (let seed = first; seed < first + SEEDS; seed++) {
    try {
      databases += await runSeed(seed);
    } catch (error) {
      error.message = `SEED=${seed}: ${error.message}`;
      throw error;
    }
  }
  assert.ok(databases > SEEDS * 2, "scripts that make no clones prove little");
});
