// The public test suite of MessagePack: 85 values in 233 encodings.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { decode, encode, fromHex, toHex } from "./source.mjs";

const suite = createRequire(import.meta.url)("msgpack-test-suite");
const cases = Object.values(suite).flat();

/** The value a case stands for; undefined: one that is no Value (an extension type that means nothing here). */
function expected(item) {
  if ("binary" in item) return { value: fromHex(item.binary) };
  if ("bignum" in item) return { value: asInteger(BigInt(item.bignum)) };
  if ("timestamp" in item) return { value: new Date(item.timestamp[0] * 1000 + Math.floor(item.timestamp[1] / 1e6)) };
  if ("ext" in item) return item.ext[0] === 1 ? { value: BigInt(`0x${item.ext[1].replaceAll("-", "")}`) } : undefined;
  for (const kind of ["nil", "bool", "number", "string", "array", "map"])
    if (kind in item) return { value: item[kind] };
  throw new Error(`a case of an unknown kind: ${JSON.stringify(item)}`);
}

const asInteger = (big) => (Number.isSafeInteger(Number(big)) ? Number(big) : big);

test("the suite has all of its 85 values and 233 encodings", () => {
  assert.equal(cases.length, 85);
  assert.equal(cases.flatMap((item) => item.msgpack).length, 233);
});

test("every encoding of every value is read as that value", () => {
  let read = 0;
  let refused = 0;
  for (const item of cases) {
    const want = expected(item);
    for (const hex of item.msgpack) {
      if (want === undefined) {
        assert.throws(() => decode(fromHex(hex)), { code: "STORAGE_CORRUPT", message: /unknown type/ });
        refused++;
      } else {
        assert.deepStrictEqual(decode(fromHex(hex)), want.value, hex);
        read++;
      }
    }
  }
  assert.deepEqual({ read, refused }, { read: 223, refused: 10 });
});

test("a value is encoded as the suite's shortest encoding of it", () => {
  for (const item of cases) {
    const want = expected(item);
    // Times with nanoseconds, which no Date can hold, are not written that way, nor floats that equal an integer.
    if (want === undefined || (item.timestamp?.[1] ?? 0) % 1e6 !== 0 || "ext" in item || "bignum" in item) continue;
    const shortest = item.msgpack.filter((hex) => !/^ca/.test(hex)).sort((a, b) => a.length - b.length)[0];
    assert.equal(toHex(encode(want.value)), shortest.replaceAll("-", ""));
  }
});
