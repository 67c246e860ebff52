// The format of an export in JavaScript, written from its description in src/engine/transfer/format.rs alone.
import { Reader, encode, encodeWith } from "../../codec/source.mjs";
import { State, compareKeys, fail, keyText } from "./state.mjs";

const PREAMBLE = 20;
const HEAD = 12;
const CHUNK = 64 * 1024;
const MAGIC = Buffer.from("offshoot");

const MASK = (1n << 64n) - 1n;
const PRIMES = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
];
const turn = (n, by) => ((n << by) | (n >> (64n - by))) & MASK;
const times = (a, b) => (a * b) & MASK;
const round = (sum, word) => times(turn((sum + times(word, PRIMES[1])) & MASK, 31n), PRIMES[0]);
const merge = (hash, sum) => (times(hash ^ round(0n, sum), PRIMES[0]) + PRIMES[3]) & MASK;

/** xxHash64. */
export function xxh64(bytes, seed) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  let hash = (seed + PRIMES[4]) & MASK;
  if (bytes.length >= 32) {
    const sums = [seed + PRIMES[0] + PRIMES[1], seed + PRIMES[1], seed, seed - PRIMES[0]].map((sum) => sum & MASK);
    for (; at + 32 <= bytes.length; at += 32) {
      for (let lane = 0; lane < 4; lane++) sums[lane] = round(sums[lane], view.getBigUint64(at + 8 * lane, true));
    }
    hash = [1n, 7n, 12n, 18n].reduce((total, by, lane) => total + turn(sums[lane], by), 0n) & MASK;
    hash = sums.reduce(merge, hash);
  }
  hash = (hash + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = (times(turn(hash ^ round(0n, view.getBigUint64(at, true)), 27n), PRIMES[0]) + PRIMES[3]) & MASK;
  }
  if (at + 4 <= bytes.length) {
    hash ^= times(BigInt(view.getUint32(at, true)), PRIMES[0]);
    hash = (times(turn(hash, 23n), PRIMES[1]) + PRIMES[2]) & MASK;
    at += 4;
  }
  for (; at < bytes.length; at++) hash = times(turn(hash ^ times(BigInt(bytes[at]), PRIMES[4]), 11n), PRIMES[0]);
  hash = times(hash ^ (hash >> 33n), PRIMES[1]);
  hash = times(hash ^ (hash >> 29n), PRIMES[2]);
  return hash ^ (hash >> 32n);
}

const bodyOf = (...items) =>
  encodeWith(
    (out) => {
      out.arrayHeader(items.length);
      for (const item of items) out.value(item);
    },
    (bytes) => bytes.slice(),
  );

const rowsOf = (rows) =>
  encodeWith(
    (out) => {
      out.arrayHeader(2);
      out.value(3);
      out.arrayHeader(rows.length);
      for (const { key, bytes } of rows) {
        out.arrayHeader(2);
        out.value(key);
        out.raw(bytes);
      }
    },
    (bytes) => bytes.slice(),
  );

/** Gives the export of a state, piece by piece, with the number of rows so far. */
export function* exportOf(state, { name, version, time, salvage }) {
  const preamble = Buffer.alloc(PREAMBLE);
  MAGIC.copy(preamble);
  preamble.writeUInt32LE(1, MAGIC.length);
  let chain = xxh64(preamble.subarray(0, 12), 0n);
  preamble.writeBigUInt64LE(chain, 12);
  const framed = (body) => {
    const head = Buffer.alloc(HEAD);
    chain = xxh64(body, chain);
    head.writeUInt32LE(body.length);
    head.writeBigUInt64LE(chain, 4);
    return Buffer.concat([head, body]);
  };
  const counts = { documents: 0, kv: 0 };
  const rows = () => counts.documents + counts.kv;
  let before = Buffer.concat([preamble, framed(bodyOf(1, name, version, time))]);
  for (const collection of [...state.collections.keys()].sort()) {
    const { kind } = state.collections.get(collection);
    before = Buffer.concat([before, framed(bodyOf(2, collection, kind))]);
    let [chunk, size] = [[], 0];
    for (const row of state.sorted(kind, collection)) {
      counts[kind]++;
      chunk.push(row);
      size += row.bytes.length;
      if (size < CHUNK) continue;
      yield { bytes: new Uint8Array(Buffer.concat([before, framed(rowsOf(chunk))])), rows: rows() };
      [chunk, size, before] = [[], 0, Buffer.alloc(0)];
    }
    if (chunk.length > 0) before = Buffer.concat([before, framed(rowsOf(chunk))]);
  }
  const end = [4, counts.documents, counts.kv, ...(salvage ? [0, []] : [])];
  yield { bytes: new Uint8Array(Buffer.concat([before, framed(bodyOf(...end))])), rows: rows() };
}

/** Reads an export that comes in pieces. */
export class FrameReader {
  collections = [];
  counts = { documents: 0, kv: 0 };
  end = undefined;
  #unread = Buffer.alloc(0);
  #offset = 0;
  #frame = 0;
  #chain = undefined;

  get rows() {
    return this.counts.documents + this.counts.kv;
  }

  push(piece) {
    this.#unread = Buffer.concat([this.#unread, piece]);
    if (this.#chain === undefined) {
      const head = this.#unread.subarray(0, MAGIC.length);
      if (head.compare(MAGIC, 0, head.length) !== 0) this.#fail("these bytes are no export");
      if (this.#unread.length < PREAMBLE) return;
      const chain = xxh64(this.#unread.subarray(0, 12), 0n);
      if (this.#unread.readBigUInt64LE(12) !== chain) this.#fail("the beginning is damaged");
      if (this.#unread.readUInt32LE(MAGIC.length) > 1) fail("FORMAT_TOO_NEW", "the export is of a newer format");
      this.#chain = chain;
      this.#pass(PREAMBLE);
    }
    while (this.#unread.length >= HEAD) {
      if (this.end !== undefined) this.#fail("bytes follow the end");
      const size = this.#unread.readUInt32LE();
      if (size > 16 * 1024 * 1024 + CHUNK) this.#fail("a frame is too large");
      if (this.#unread.length < HEAD + size) return;
      const body = new Uint8Array(this.#unread.subarray(HEAD, HEAD + size));
      const chain = xxh64(body, this.#chain);
      if (this.#unread.readBigUInt64LE(4) !== chain) this.#fail("a frame is damaged");
      this.#chain = chain;
      this.#read(new Reader(body));
      this.#pass(HEAD + size);
    }
  }

  finish() {
    if (this.end === undefined || this.#unread.length > 0) this.#fail("the export is cut off");
  }

  #read(body) {
    const items = body.arrayHeader();
    const kind = body.value();
    if (kind === 2) {
      this.collections.push({ name: body.value(), kind: body.value(), rows: [] });
    } else if (kind === 3) {
      const { kind, rows } = this.collections.at(-1) ?? this.#fail("rows follow their collection");
      for (let left = body.arrayHeader(); left > 0; left--, this.counts[kind]++) {
        const more = body.arrayHeader() > 2;
        const row = { key: body.value(), bytes: encode(body.value()) };
        if (more) row.expiry = body.value();
        if (rows.length > 0 && compareKeys(rows.at(-1).key, row.key) >= 0) this.#fail("rows do not rise");
        rows.push(row);
      }
    } else if (kind === 4) {
      this.end = [body.value(), body.value(), ...(items > 3 ? [body.value()] : [])];
      if (this.end[0] !== this.counts.documents || this.end[1] !== this.counts.kv) this.#fail("the end counts others");
    }
  }

  #pass(count) {
    this.#unread = this.#unread.subarray(count);
    this.#offset += count;
    this.#frame++;
  }

  #fail(message) {
    const details = { frame: this.#frame, offset: this.#offset };
    fail("INVALID_IMPORT", `${message}. frame=${details.frame}, offset=${details.offset}`, details);
  }
}

/** The state with all that was read, and the rows that were written; nothing is changed where they can't be. */
export function imported(state, reader, replace) {
  const next = state.copy();
  const touched = new Set();
  for (const { name, kind, rows } of reader.collections) {
    next.collections.set(name, { kind, rows: next.rows(kind, name) });
    for (const { key, bytes } of rows) {
      const text = keyText(key);
      const { rows: there } = next.collections.get(name);
      if (!replace && there.has(text)) fail("KEY_EXISTS", "a row is there", { collection: name, key });
      there.set(text, { key, bytes });
      touched.add(`${name}/${text}`);
    }
  }
  return { next, touched };
}

/** The rows of an export's reader, as a state of its own. */
export const stateOf = (reader) => imported(new State(), reader, false).next;
