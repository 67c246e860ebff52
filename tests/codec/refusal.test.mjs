import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_BYTES, decode, encode, encodeDocument, encodeWith } from "./source.mjs";

const refused = (value, path, code = "INVALID_VALUE", encoder = encode) => {
  assert.throws(
    () => encoder(value),
    (error) => {
      assert.equal(error.name, "OffshootError");
      assert.equal(error.code, code, error.message);
      assert.deepEqual(error.details, { path, outcome: "none" });
      return true;
    },
  );
};

class Point {
  x = 1;
}

test("a value that can't be stored is refused, wherever it is", () => {
  const transferred = new Uint8Array(4);
  structuredClone(transferred, { transfer: [transferred.buffer] });
  const bad = [
    () => 1,
    Symbol("s"),
    new Point(),
    new Map(),
    new Set(),
    /x/,
    new Error("x"),
    Promise.resolve(),
    new Float64Array(1),
    new Uint8ClampedArray(1),
    new ArrayBuffer(1),
    new DataView(new ArrayBuffer(1)),
    new String("x"),
    new Number(1),
    Object(1n),
    new Date(NaN),
    "\ud800",
    "a\udc00b",
    `${"long ".repeat(20)}\udfff`,
    "\udc00\ud800",
    transferred,
    Object.create({}),
    new WeakMap(),
    globalThis,
  ];
  for (const value of bad) {
    refused(value, "");
    refused({ a: { b: [0, 1, 2, { c: value }] } }, "a.b[3].c");
    refused([[value]], "[0][0]");
    refused({ list: [1, value] }, "list[1]", "INVALID_VALUE", encodeDocument);
  }
});

test("undefined is refused but as a field", () => {
  refused(undefined, "");
  refused([undefined], "[0]");
  refused({ list: [1, , 3] }, "list[1]"); // eslint-disable-line no-sparse-arrays
});

test("fields that a symbol names, and named properties of an array, are left out alike", () => {
  assert.deepEqual(decode(encode({ a: { b: 1, [Symbol("s")]: 1 } })), { a: { b: 1 } });
  assert.deepEqual(decode(encode({ a: Object.assign([1], { named: 2, [Symbol("s")]: 3 }) })), { a: [1] });
});

/** An object that throws at whoever looks at it, as an Immer draft does after its producer. */
function revoked(target) {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

test("an object that throws when it is looked at is refused with its path, and what it threw as the cause", () => {
  const traps = new Proxy({}, { ownKeys: () => assert.fail("no keys"), getPrototypeOf: () => Object.prototype });
  const strange = new Proxy({}, { getPrototypeOf: () => assert.fail("no prototype") });
  const late = { get a() { return cutOff(), 1; }, b: { c: 1 } };
  let cutOff = () => undefined;
  for (const [value, path] of [
    [revoked({}), ""],
    [revoked([]), ""],
    [{ list: [1, revoked({})] }, "list[1]"],
    [{ list: [revoked([])] }, "list[0]"],
    [{ a: { b: Object.create(revoked({})) } }, "a.b"],
    [{ a: revoked(new Date()) }, "a"],
    [{ a: traps }, "a"],
    [{ a: strange }, "a"],
  ]) {
    assert.throws(
      () => encode(value),
      (error) => error.code === "INVALID_VALUE" && error.details.path === path && error.cause instanceof Error,
      path,
    );
  }
  const { proxy, revoke } = Proxy.revocable({ c: 1 }, {});
  Object.assign(late, { b: proxy });
  cutOff = revoke;
  assert.throws(() => encode(late), { code: "INVALID_VALUE", details: { path: "b", outcome: "none" } });
});

test("a field's name with a lone surrogate is refused", () => {
  refused({ "bad\ud800": 1 }, "bad\ud800");
});

test("names that would be misread in a path are quoted", () => {
  refused({ "a.b": { "": { "[0]": () => 1 } } }, '["a.b"][""]["[0]"]');
});

test("a cycle is refused with the path of the reference back", () => {
  const self = { a: 1 };
  self.self = self;
  refused(self, "self");
  const ring = { b: [{ c: {} }] };
  ring.b[0].c.top = ring;
  refused({ x: ring }, "x.b[0].c.top");
  const list = [];
  list.push(list);
  refused(list, "[0]");
  refused(list, "$set[0]", "INVALID_VALUE", (value) =>
    encodeWith(
      (writer) => {
        writer.enter("$set");
        writer.value(value);
      },
      (bytes) => bytes,
    ),
  );
  let chain = { end: true };
  const bottom = chain;
  for (let index = 0; index < 200; index++) chain = { next: chain };
  bottom.back = chain;
  refused(chain, `${"next.".repeat(200)}back`);
});

test("the same object twice is no cycle", () => {
  const shared = { x: 1 };
  assert.deepEqual(decode(encode({ a: shared, b: [shared, shared] })), { a: { x: 1 }, b: [{ x: 1 }, { x: 1 }] });
});

const nested = (depth) => {
  let value = 1;
  for (let index = 0; index < depth; index++) value = index % 2 === 0 ? [value] : { f: value };
  return value;
};

test("a value is at most 64 deep", () => {
  assert.deepEqual(decode(encode(nested(64))), nested(64));
  assert.throws(() => encode(nested(65)), { code: "TOO_LARGE", message: /64 deep/ });
  assert.throws(() => encode(nested(100_000)), { code: "TOO_LARGE" });
});

test("a value has at most 16 MiB", () => {
  const fits = new Uint8Array(MAX_BYTES - 5);
  assert.equal(encode(fits).length, MAX_BYTES);
  refused(new Uint8Array(MAX_BYTES - 4), "", "TOO_LARGE");
  refused({ text: "x".repeat(MAX_BYTES) }, "", "TOO_LARGE");
  refused("é".repeat(MAX_BYTES / 2), "", "TOO_LARGE");
  refused({ big: 1n << BigInt(MAX_BYTES * 8) }, "big", "TOO_LARGE");
  refused({ a: new Uint8Array(MAX_BYTES + 1) }, "a", "TOO_LARGE");
});

test("a value that refers to its parts again and again ends in TOO_LARGE, not in memory", () => {
  let value = ["x".repeat(100)];
  for (let index = 0; index < 50; index++) value = [value, value];
  assert.throws(() => encode(value), { code: "TOO_LARGE" });
  const line = "x".repeat(1024 * 1024);
  assert.throws(() => encode(new Array(1000).fill(line)), { code: "TOO_LARGE" });
});

test("an error of a getter is thrown on, and the next value is encoded as ever", () => {
  const failure = new Error("mine");
  assert.throws(
    () =>
      encode({
        a: 1,
        get b() {
          throw failure;
        },
      }),
    (error) => error === failure,
  );
  assert.throws(() => encode({ a: [() => 1] }));
  assert.deepEqual(decode(encode({ a: 1 })), { a: 1 });
});
