// The core's exports, read by a reader that was written from the description of the format alone, and the other way.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import * as api from "../../pkg/dist/node.js";
import { decode, encode } from "../codec/source.mjs";
import { values } from "../promises/values.mjs";
import { State } from "./model/state.mjs";
import { FrameReader, exportOf, stateOf, xxh64 } from "./model/transfer.mjs";

const keys = ["", "a\0", 0, -0.5, 1e300, Uint8Array.of(0, 255), ["a", 1], ["a", 1, "b"], [2]];

function read(bytes) {
  const reader = new FrameReader();
  for (let at = 0; at < bytes.length; at += 1000) reader.push(bytes.subarray(at, at + 1000));
  reader.finish();
  return reader;
}

/** All rows of a state, as values. */
function contents(state) {
  const names = [...state.collections.keys()].sort();
  return names.map((name) => {
    const { kind } = state.collections.get(name);
    return [name, kind, state.sorted(kind, name).map(({ key, bytes }) => [key, decode(bytes)])];
  });
}

test("the hash is that of the standard", () => {
  const bytes = Buffer.from("Nobody inspects the spammish repetition");
  assert.equal(xxh64(Buffer.alloc(0), 0n), 0xef46db3751d8e999n);
  assert.equal(xxh64(bytes, 0n), 0xfbcea83c8a378bf1n);
});

test("another reader reads the core's exports, and the core imports another writer's", async () => {
  const state = new State();
  for (const [name, value] of Object.entries(values)) state.put("documents", "notes", name, { value });
  for (const [n, key] of keys.entries()) state.put("kv", "kv", key, { n });
  state.collections.set("empty", { kind: "documents", rows: new Map() });
  const written = [...exportOf(state, { name: "main", version: "0", time: 5 })].map(({ bytes }) => bytes);
  const db = await api.open("formats", { storage: "memory" });
  const counted = { documents: Object.keys(values).length, entries: keys.length };
  assert.deepEqual(await db.import(new Uint8Array(Buffer.concat(written))), counted);
  for (const [name, value] of Object.entries(values)) {
    assert.deepEqual(await db.collection("notes").get(name), { id: name, value });
  }
  for (const [n, key] of keys.entries()) assert.deepEqual(await db.kv().get(key), { n });
  const reader = read(new Uint8Array(await new Response(db.export()).arrayBuffer()));
  assert.deepEqual(contents(stateOf(reader)), contents(state));
  assert.deepEqual(reader.end, [counted.documents, counted.entries]);
  await db.close();
});

test("the fixture is read as the core reads it", async () => {
  const bytes = new Uint8Array(await readFile(new URL("../fixtures/export-1.bin", import.meta.url)));
  const db = await api.open("fixture", { storage: "memory" });
  await db.import(bytes);
  const state = stateOf(read(bytes));
  assert.deepEqual(
    await db.collections(),
    [...state.collections].map(([name, { kind }]) => ({ name, kind, indexes: [] })),
  );
  assert.deepEqual(
    await db.kv().list().toArray(),
    state.sorted("kv", "kv").map(({ key, bytes }) => [key, decode(bytes)]),
  );
  const found = await db.collection("todos").find().toArray();
  const expected = state.sorted("documents", "todos").map(({ key, bytes }) => ({ id: key, ...decode(bytes) }));
  assert.deepEqual(found.map(encode), expected.map(encode));
  await db.close();
});
