import assert from "node:assert/strict";
import { test } from "node:test";
import vm from "node:vm";
import { decode, decodeDocument, encode, encodeDocument, toHex } from "./source.mjs";
import { Generator } from "./generator.mjs";

const seed = Number(process.env.SEED ?? 1);

/** Exactly equal: kinds, -0, NaN, own fields, prototypes, and the order of fields, which deepStrictEqual ignores. */
function assertSame(actual, wanted) {
  assert.deepStrictEqual(actual, wanted);
  const stack = [[actual, wanted]];
  while (stack.length > 0) {
    const [left, right] = stack.pop();
    if (typeof right !== "object" || right === null || ArrayBuffer.isView(right)) continue;
    assert.deepEqual(Object.keys(left), Object.keys(right));
    assert.equal(Object.getPrototypeOf(left), Object.getPrototypeOf(right));
    for (const key of Object.keys(right)) stack.push([left[key], right[key]]);
  }
}

test(`random values survive exactly, and are encoded in one way only (SEED=${seed})`, () => {
  const generator = new Generator(seed);
  for (let round = 0; round < 4000; round++) {
    const value = generator.value();
    const bytes = encode(value);
    const back = decode(bytes);
    assertSame(back, value);
    assert.equal(toHex(encode(back)), toHex(bytes));
  }
});

test(`random documents survive with their id first (SEED=${seed})`, () => {
  const generator = new Generator(seed + 1);
  for (let round = 0; round < 2000; round++) {
    const document = generator.fields(3);
    const { id: _, ...rest } = document;
    const back = decodeDocument(encodeDocument(document), "the id");
    assertSame(back, { id: "the id", ...Object.fromEntries(Object.entries(rest)) });
  }
});

test("fields with the names of inherited ones are ordinary own fields", () => {
  const text = '{"__proto__":{"polluted":true},"constructor":1,"then":2,"":3,"toString":4,"hasOwnProperty":5}';
  const value = JSON.parse(text);
  const back = decode(encode(value));
  assert.equal(JSON.stringify(back), text);
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  assert.equal({}.polluted, undefined);
  assert.equal(back.polluted, undefined);
});

test("big integers of every size survive, and take no byte more than they need", () => {
  for (let size = 0n; size < 300n; size++) {
    for (const near of [-1n, 0n, 1n]) {
      for (const value of [2n ** size + near, -(2n ** size) + near]) {
        assert.equal(decode(encode(value)), value);
      }
    }
  }
  assert.equal(toHex(encode(0n)), "d40100");
  assert.equal(toHex(encode(127n)), "d4017f");
  assert.equal(toHex(encode(128n)), "d5010080");
  assert.equal(toHex(encode(-128n)), "d40180");
  assert.equal(toHex(encode(-129n)), "d501ff7f");
  const huge = 3n ** 40_000n;
  assert.equal(decode(encode(huge)), huge);
});

test("every Date that there can be survives", () => {
  for (const milliseconds of [
    0,
    1,
    -1,
    999,
    -999,
    8.64e15,
    -8.64e15,
    8.64e15 - 1,
    4294967295000,
    4294967296000,
    17179869183999,
    17179869184000,
  ]) {
    const back = decode(encode(new Date(milliseconds)));
    assert.ok(back instanceof Date);
    assert.equal(back.getTime(), milliseconds);
  }
});

test("bytes come back as a Uint8Array of their own, whatever subclass or view they were", () => {
  const whole = Uint8Array.of(1, 2, 3, 4, 5);
  for (const bytes of [Buffer.from([2, 3, 4]), whole.subarray(1, 4), Buffer.from(whole.buffer, 1, 3)]) {
    const encoded = encode({ bytes });
    const back = decode(encoded).bytes;
    assert.equal(Object.getPrototypeOf(back), Uint8Array.prototype);
    assert.deepEqual([...back], [2, 3, 4]);
    encoded.fill(0);
    assert.deepEqual([...back], [2, 3, 4]);
  }
});

test("undefined fields are left out, also when the map's header gets shorter by it", () => {
  const fields = Object.fromEntries(
    Array.from({ length: 20 }, (_, index) => [`f${index}`, index < 10 ? undefined : index]),
  );
  const kept = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  assertSame(decode(encode([fields, "after"])), [kept, "after"]);
  assert.equal(toHex(encode(fields)), toHex(encode(kept)));
  assertSame(decode(encode({ gone: undefined })), {});
});

test("values of another realm are values too", () => {
  const foreign = vm.runInNewContext(
    "({ date: new Date(5), bytes: Uint8Array.of(1, 2), list: [1, { deep: true }], none: Object.create(null) })",
  );
  assertSame(decode(encode(foreign)), {
    date: new Date(5),
    bytes: Uint8Array.of(1, 2),
    list: [1, { deep: true }],
    none: {},
  });
});

test("a mark of byte order at the beginning of a string stays", () => {
  for (const text of ["\ufeff", "\ufeffshort", `\ufeff${"long".repeat(30)}`]) assert.equal(decode(encode(text)), text);
});

test("a getter that encodes something itself disturbs nothing", () => {
  const value = {
    before: 1,
    get inner() {
      return toHex(encode({ nested: ["x".repeat(100)] }));
    },
    after: 2,
  };
  const back = decode(encode(value));
  assert.deepEqual(back, { before: 1, inner: toHex(encode({ nested: ["x".repeat(100)] })), after: 2 });
});

test("field names beyond what is remembered are read right", () => {
  // More names than slots, long ones, and in an order that makes each guess wrong.
  for (let round = 0; round < 3; round++) {
    for (let first = 0; first < 4000; first += 7) {
      const names = Array.from({ length: 5 }, (_, index) => `field${(first * (index + 3) + round) % 5003}`);
      const value = Object.fromEntries(
        [...names, "long".repeat(20)].map((name, index) => [name, { [`${name}-child`]: index }]),
      );
      assertSame(decode(encode(value)), value);
    }
  }
});
