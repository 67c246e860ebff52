// The real data in a store and in a plain model beside it: imports, changes both alike, compares every row.
import { browsers, features, importRows, place, sources } from "../real-data.mjs";

const load = async (path) => (await fetch(`/${path}`)).json();

/** The rows that a database must hold: documents by id in each collection, entries by key. */
export class Model {
  constructor(collections, entries) {
    this.collections = new Map(Object.entries(collections).map(([name, rows]) => [name, new Map(rows)]));
    this.entries = new Map(entries);
  }

  copy() {
    return new Model(Object.fromEntries(this.collections), this.entries);
  }
}

/** The data as it comes from the packages. */
export async function originalModel() {
  const [cities, compatibility] = await Promise.all([load(sources.places), load(sources.compatibility)]);
  const byId = (documents) => documents.map((document) => [document.id, document]);
  const collections = { places: byId(cities.map(place)), features: byId(features(compatibility)) };
  return new Model(collections, browsers(compatibility));
}

export async function importModel(db, model) {
  for (const [name, rows] of model.collections) await importRows(db.collection(name), [...rows.values()]);
  await db.kv("browsers").setMany(model.entries);
}

/** Every n-th id from an offset: the same ones whenever they are asked for. */
function choose(model, offset, count) {
  const ids = [...model.collections.get("places").keys()];
  return Array.from({ length: count }, (_, n) => ids[offset + n * 150]);
}

/** Changes 1,000 places and deletes 1,000 others, half by single calls and half in a transaction; and some entries. */
export async function change(db, offset) {
  const model = await originalModel();
  const [updated, deleted] = [choose(model, offset, 1000), choose(model, offset + 50, 1000)];
  const places = db.collection("places");
  await Promise.all(updated.slice(0, 500).map((id) => places.update(id, { $inc: { lat: 1 }, $set: { note: id } })));
  await places.deleteMany(deleted.slice(0, 500));
  await db.transaction(async (tx) => {
    const rows = tx.collection("places");
    for (const id of updated.slice(500)) await rows.update(id, { $inc: { lat: 1 }, $set: { note: id } });
    for (const id of deleted.slice(500)) await rows.delete(id);
  });
  await db.kv("browsers").setField("firefox", "name", `changed ${offset}`);
  await db.kv("browsers").delete("safari");
}

/** The same on a model. */
export function changed(original, offset) {
  const model = original.copy();
  const places = model.collections.get("places");
  for (const id of choose(original, offset, 1000)) {
    const row = places.get(id);
    places.set(id, { ...row, lat: row.lat + 1, note: id });
  }
  for (const id of choose(original, offset + 50, 1000)) places.delete(id);
  model.entries.set("firefox", { ...model.entries.get("firefox"), name: `changed ${offset}` });
  model.entries.delete("safari");
  return model;
}

/** A value as text, the same whatever the order of an object's fields. */
const text = (value) =>
  JSON.stringify(value, (_, part) =>
    part !== null && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

const isEqual = (a, b) => JSON.stringify(a) === JSON.stringify(b) || text(a) === text(b);

async function compareRows(rows, expected, differences) {
  let count = 0;
  for await (const [key, row] of rows) {
    count++;
    if (!isEqual(row, expected.get(key))) differences.push(key);
  }
  if (count !== expected.size) differences.push(`rows. found=${count}, expected=${expected.size}`);
  return count;
}

async function* byId(rows) {
  for await (const row of rows) yield [row.id, row];
}

/** Compares every row; the answer tells how many there were and names the first that differ. */
export async function compare(db, model) {
  const differences = [];
  let rows = 0;
  for (const [name, expected] of model.collections) {
    rows += await compareRows(byId(db.collection(name).find()), expected, differences);
  }
  rows += await compareRows(db.kv("browsers").list(), model.entries, differences);
  return { rows, differences: differences.slice(0, 10) };
}
