// Bytes that somebody else made. They end in a value or in one kind of error, soon and in little memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, decodeDocument, encode, encodeDocument, fromHex } from "./source.mjs";
import { Generator } from "./generator.mjs";

const seed = Number(process.env.SEED ?? 1);
const corrupt = { name: "OffshootError", code: "STORAGE_CORRUPT" };
const refused = (hex) => assert.throws(() => decode(fromHex(hex)), corrupt, hex);

test("a declared length larger than the input is refused at once", () => {
  const headers = [
    "dd-7f-ff-ff-ff",
    "dd-ff-ff-ff-ff",
    "df-7f-ff-ff-ff",
    "df-ff-ff-ff-ff",
    "c6-7f-ff-ff-ff",
    "c6-ff-ff-ff-ff",
    "db-7f-ff-ff-ff",
    "db-ff-ff-ff-ff",
    "c9-ff-ff-ff-ff-01",
    "c9-ff-ff-ff-ff-ff",
    "dc-ff-ff",
    "de-ff-ff",
    "9f-01",
    "8f-a1-61-01",
  ];
  const before = process.memoryUsage().rss;
  for (const header of headers) refused(header);
  // Nested, each level declaring as many elements as bytes remain: the memory must not grow with each level.
  const bomb = new Uint8Array(1_000_000).fill(0xc0);
  for (let level = 0; level < 60; level++) bomb.set(fromHex("dd-00-0e-00-00"), level * 5);
  assert.throws(() => decode(bomb), corrupt);
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024);
});

test("depth beyond 64 is refused, however deep", () => {
  for (const depth of [65, 10_000, 1_000_000]) {
    assert.throws(() => decode(new Uint8Array(depth).fill(0x91)), corrupt);
    const maps = new Uint8Array(depth * 2 + 1).fill(0x81);
    for (let index = 1; index < maps.length; index += 2) maps[index] = 0xa0;
    assert.throws(() => decode(maps), corrupt);
    assert.throws(() => decodeDocument(maps, "id"), corrupt);
  }
});

test("bytes cut at any place are refused", () => {
  const value = {
    text: "some text",
    more: "é".repeat(60),
    list: [1, 200, 70_000, 5_000_000_000, -5, -300, -70_000, 1.5, true, null],
    date: new Date(1),
    older: new Date(-1),
    big: 2n ** 80n,
    bytes: new Uint8Array(300),
    map: { deep: { er: [] } },
  };
  for (const [bytes, read] of [
    [encode(value), decode],
    [encodeDocument(value), (cut) => decodeDocument(cut, "id")],
  ]) {
    assert.deepStrictEqual(read(bytes).text, "some text");
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => read(bytes.subarray(0, length)), corrupt, `cut at ${length}`);
      // Cut inside a larger buffer: bytes behind the end must not be read.
      const whole = new Uint8Array([...bytes.subarray(0, length), ...bytes.subarray(length)]);
      assert.throws(() => read(whole.subarray(0, length)), corrupt);
    }
  }
});

test("bytes behind a value are refused", () => refused("01-02"));

test("text that is no UTF-8 is refused, short and long", () => {
  const bad = [
    "80",
    "c0-80",
    "c1-bf",
    "e0-80-80",
    "e0-9f-bf",
    "ed-a0-80",
    "ed-bf-bf",
    "f0-80-80-80",
    "f4-90-80-80",
    "f5-80-80-80",
    "ff",
    "c3",
    "e2-82",
    "f0-9f-98",
    "c3-28",
    "e2-28-a1",
    "f8-88-80-80-80",
  ];
  for (const hex of bad) {
    const bytes = fromHex(hex);
    for (const padding of [0, 10, 100]) {
      const text = new Uint8Array(padding + bytes.length).fill(0x61);
      text.set(bytes, padding);
      const header = [0xda, text.length >> 8, text.length & 0xff];
      assert.throws(() => decode(Uint8Array.from([...header, ...text])), corrupt, hex);
      assert.throws(() => decode(Uint8Array.from([0x81, ...header, ...text, 0xc0])), corrupt, hex);
    }
  }
});

test("a field's name that is no string, a byte that begins nothing, and unknown extensions are refused", () => {
  for (const hex of [
    "81-01-01",
    "81-c0-01",
    "81-90-01",
    "81-c4-00-01",
    "c1",
    "91-c1",
    "81-c1-c0",
    "d4-02-00",
    "c7-00-05",
    "d4-7f-00",
    "c7-00-01",
  ])
    refused(hex);
});

test("timestamps that no Date can say are refused", () => {
  for (const hex of [
    "d4-ff-00",
    "c7-0c-ff-3b-9a-ca-00-00-00-00-00-00-00-00-00",
    "c7-0c-ff-00-00-00-00-7f-ff-ff-ff-ff-ff-ff-ff",
    "d7-ff-ff-ff-ff-ff-00-00-00-00",
    "c7-0c-ff-00-00-00-00-80-00-00-00-00-00-00-00",
    "c7-05-ff-00-00-00-00-00",
  ])
    refused(hex);
});

test("a document that is no map is refused", () => {
  for (const hex of ["c0", "90", "01", "a0", ""]) assert.throws(() => decodeDocument(fromHex(hex), "id"), corrupt);
});

test("a remembered name never makes invalid bytes valid", () => {
  // Read names until their slots were taken by others many times, then offer a byte that begins no name.
  for (let index = 0; index < 5000; index++) decode(encode({ [`n${index}`]: 1, [`m${index}`]: 2 }));
  for (let index = 0; index < 5000; index++) {
    const bytes = encode({ [`n${index}`]: 1, z: 2 });
    bytes[bytes.length - 3] = 0xc1;
    assert.throws(() => decode(bytes), corrupt);
  }
});

test(`random changes to valid bytes end in a value or in that one error (SEED=${seed})`, () => {
  const generator = new Generator(seed + 2);
  let values = 0;
  let errors = 0;
  for (let round = 0; round < 3000; round++) {
    const bytes = encode(generator.value(3)).subarray(0, 5000).slice();
    for (let change = 0; change < 1 + generator.below(4); change++)
      bytes[generator.below(bytes.length)] = generator.below(256);
    try {
      decode(bytes);
      values++;
    } catch (error) {
      assert.equal(error.code, "STORAGE_CORRUPT", error.stack);
      errors++;
    }
  }
  assert.ok(values > 100 && errors > 100, `${values} values, ${errors} errors`);
});
