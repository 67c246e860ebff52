// An independent implementation reads what this codec writes, and the other way round.
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode as theirDecode, encode as theirEncode } from "@msgpack/msgpack";
import { decode, encode, toHex } from "./source.mjs";
import { Generator } from "./generator.mjs";

const seed = Number(process.env.SEED ?? 1);

/**
 * Replaces the parts of a value that the two codecs treat differently: big integers (ours is an extension), -0 (theirs
 * is an integer), a field `__proto__` (theirs throws), a mark of byte order (theirs drops it).
 */
function common(value) {
  if (typeof value === "string") return value.replaceAll("\ufeff", "-");
  if (typeof value === "bigint") return Number(BigInt.asIntN(40, value));
  if (typeof value === "number")
    return Object.is(value, -0) || !Number.isFinite(value) || Math.abs(value) > 2 ** 53 ? 0.5 : value;
  if (Array.isArray(value)) return value.map(common);
  if (value === null || typeof value !== "object" || value instanceof Date || value instanceof Uint8Array) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) => (name === "__proto__" ? [] : [[name, common(field)]])),
  );
}

test(`both read what either wrote (SEED=${seed})`, () => {
  const generator = new Generator(seed + 3);
  for (let round = 0; round < 1500; round++) {
    const value = common(generator.value());
    const ours = encode(value);
    assert.deepStrictEqual(theirDecode(ours), value);
    assert.deepStrictEqual(decode(theirEncode(value)), value);
    assert.equal(toHex(ours), toHex(theirEncode(value)), "both write the shortest form");
  }
});
