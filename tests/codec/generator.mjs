// Random values, the same for the same seed, leaning towards the edges where encodings change.

/** Numbers in [0, 1) from a seed (a linear congruential generator of 48 bits, in two halves). */
export function random(seed) {
  let state = BigInt(seed) * 2n + 1n;
  return () => {
    state = (state * 25214903917n + 11n) & 0xffff_ffff_ffffn;
    return Number(state >> 16n) / 2 ** 32;
  };
}

const EDGES = [
  0,
  -0,
  1,
  -1,
  31,
  32,
  -32,
  -33,
  127,
  128,
  -128,
  -129,
  255,
  256,
  32767,
  32768,
  -32768,
  -32769,
  65535,
  65536,
  2147483647,
  2147483648,
  -2147483648,
  -2147483649,
  4294967295,
  4294967296,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 53) + 1,
  -(2 ** 53),
  2 ** 63,
  -(2 ** 63),
  2 ** 64,
  0.1,
  1.5,
  -2.25,
  1e-320,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
  NaN,
  Infinity,
  -Infinity,
];
const FIELDS = [
  "a",
  "id",
  "name",
  "__proto__",
  "constructor",
  "then",
  "",
  "toString",
  "a.b",
  "länge",
  "名",
  "😀",
  "hasOwnProperty",
  "valueOf",
  "x".repeat(31),
  "x".repeat(32),
  "x".repeat(70),
  "0",
  "10",
  "length",
];
// One, two, three and four bytes of UTF-8, at the edges of each.
const LETTERS = [..."aZ \0\x7f\x80\u07ff\u0800\u20ac\ufeff\uffff\u{10000}\u{10ffff}\n"];
const LENGTHS = [0, 1, 5, 31, 32, 33, 48, 49, 255, 256, 257];

export class Generator {
  constructor(seed) {
    this.next = random(seed);
  }

  below(limit) {
    return Math.floor(this.next() * limit);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  string() {
    const length = this.below(20) === 0 ? 65530 + this.below(12) : this.pick(LENGTHS);
    if (this.below(2) === 0) return this.pick(LETTERS).repeat(length);
    return Array.from({ length: Math.min(length, 300) }, () => this.pick(LETTERS)).join("");
  }

  number() {
    if (this.below(2) === 0) return this.pick(EDGES);
    return this.below(2) === 0 ? this.below(2 ** 32) * 2 ** (this.below(80) - 40) : this.below(1000) - 500;
  }

  bigint() {
    const size = this.below(4) === 0 ? this.below(2200) : this.below(140);
    const edge = (1n << BigInt(size)) + BigInt(this.below(3) - 1);
    return this.below(2) === 0 ? edge : -edge;
  }

  date() {
    const edges = [
      0,
      -1,
      1,
      999,
      1000,
      8.64e15,
      -8.64e15,
      2 ** 32 * 1000,
      2 ** 32 * 1000 - 1,
      2 ** 34 * 1000,
      2 ** 34 * 1000 - 1,
    ];
    return new Date(this.below(2) === 0 ? this.pick(edges) : Math.floor((this.next() - 0.5) * 1e13));
  }

  bytes() {
    return Uint8Array.from({ length: this.pick([...LENGTHS, 65535, 65536]) }, () => this.below(256));
  }

  fields(depth) {
    const entries = Array.from({ length: this.pick([0, 1, 2, 3, 5, 15, 16, 17]) }, () => [
      this.pick(FIELDS),
      this.value(depth - 1),
    ]);
    // fromEntries makes own fields, also of `__proto__`.
    return Object.fromEntries(entries);
  }

  value(depth = 4) {
    const kind = this.below(depth > 0 ? 10 : 8);
    switch (kind) {
      case 0:
        return null;
      case 1:
        return this.below(2) === 0;
      case 2:
        return this.bigint();
      case 3:
        return this.date();
      case 4:
        return this.bytes();
      case 5:
      case 6:
        return this.number();
      case 7:
        return this.string();
      case 8:
        return Array.from({ length: this.pick([0, 1, 3, 15, 16]) }, () => this.value(depth - 1));
      default:
        return this.fields(depth);
    }
  }
}
