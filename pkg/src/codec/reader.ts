/**
 * Decodes values, and the arrays around them that are the core's answers. Reads every legal form of MessagePack and
 * trusts none: a declared length is compared with the bytes that remain before anything is made of it, and depth is
 * limited.
 */
import { OffshootError } from "../errors.js";
import { bytesBigint } from "./bigint.js";
import { MAX_DEPTH } from "./limits.js";
import { type Name, matches, nameAt, rootName } from "./names.js";
import { textAt } from "./utf8.js";

const BIGINT_TYPE = 1;
const TIMESTAMP_TYPE = -1;
const LATEST_DATE = 8.64e15;

/** Numbers of 64 bits pass through here; a DataView on every answer would cost more. */
const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/** Where the guesses about field names begin, for documents and for other values. */
const documentRoot = rootName();
const valueRoot = rootName();

export class Reader {
  #bytes: Uint8Array;
  #position: number;
  #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  /** Reads other bytes from here on: one reader serves a whole series of documents. */
  reset(bytes: Uint8Array, start: number, end: number): void {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  /** One whole value. */
  value(): unknown {
    return this.#guarded(() => this.#value(0, valueRoot));
  }

  /** A document, whose id stands first among its fields. */
  document(id: string): Record<string, unknown> {
    try {
      const count = this.#mapCount();
      if (count === undefined) this.#fail("a document is no map");
      const document: Record<string, unknown> = { id };
      this.#fields(document, count, 0, documentRoot);
      return document;
    } catch (error) {
      throw this.#translated(error);
    }
  }

  /** The header of an array that is part of an answer's frame, no value of its own. */
  arrayHeader(): number {
    return this.#guarded(() => {
      const marker = this.#byte();
      if (marker >= 0x90 && marker <= 0x9f) return this.#count(marker & 0x0f, 1);
      if (marker === 0xdc) return this.#count(this.#unsigned(2), 1);
      if (marker === 0xdd) return this.#count(this.#unsigned(4), 1);
      return this.#fail("an array was expected");
    });
  }

  /** Takes a nil if there is one. */
  takeNil(): boolean {
    if (this.#bytes[this.#position] !== 0xc0 || this.#position >= this.#end) return false;
    this.#position++;
    return true;
  }

  /** Fails unless all bytes were read. */
  finish(): void {
    if (this.#position !== this.#end) this.#guarded(() => this.#fail("bytes follow the value"));
  }

  #guarded<R>(read: () => R): R {
    try {
      return read();
    } catch (error) {
      throw this.#translated(error);
    }
  }

  #translated(error: unknown): unknown {
    if (!(error instanceof RangeError)) return error;
    const details = { offset: this.#position };
    return new OffshootError("STORAGE_CORRUPT", `${error.message}. offset=${this.#position}`, details);
  }

  #fail(message: string): never {
    throw new RangeError(message);
  }

  #byte(): number {
    if (this.#position >= this.#end) this.#fail("the bytes end within a value");
    return this.#bytes[this.#position++]!;
  }

  /** Moves on by `length` bytes and returns where they begin. */
  #take(length: number): number {
    const start = this.#position;
    if (length > this.#end - start) this.#fail("the bytes end within a value");
    this.#position = start + length;
    return start;
  }

  #unsigned(width: 1 | 2 | 4): number {
    let position = this.#take(width);
    const bytes = this.#bytes;
    let value = bytes[position]!;
    for (let index = 1; index < width; index++) value = value * 0x100 + bytes[++position]!;
    return value;
  }

  /** A count of elements, each of which takes at least `size` bytes. */
  #count(count: number, size: number): number {
    if (count * size > this.#end - this.#position) this.#fail("the bytes end within a value");
    return count;
  }

  #value(depth: number, name: Name): unknown {
    const marker = this.#byte();
    if (marker < 0x80) return marker;
    if (marker >= 0xe0) return marker - 0x100;
    if (marker >= 0xa0 && marker <= 0xbf) return this.#text(marker & 0x1f);
    if (marker < 0x90) return this.#map(this.#count(marker & 0x0f, 2), depth, name);
    if (marker < 0xa0) return this.#array(this.#count(marker & 0x0f, 1), depth, name);
    switch (marker) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.#binary(this.#unsigned(1));
      case 0xc5:
        return this.#binary(this.#unsigned(2));
      case 0xc6:
        return this.#binary(this.#unsigned(4));
      case 0xc7:
        return this.#extension(this.#unsigned(1));
      case 0xc8:
        return this.#extension(this.#unsigned(2));
      case 0xc9:
        return this.#extension(this.#unsigned(4));
      case 0xca:
        return this.#wide(4).getFloat32(0);
      case 0xcb:
        return this.#wide(8).getFloat64(0);
      case 0xcc:
        return this.#unsigned(1);
      case 0xcd:
        return this.#unsigned(2);
      case 0xce:
        return this.#unsigned(4);
      case 0xcf:
        return integer(this.#wide(8).getBigUint64(0));
      case 0xd0:
        return this.#wide(1).getInt8(0);
      case 0xd1:
        return this.#wide(2).getInt16(0);
      case 0xd2:
        return this.#wide(4).getInt32(0);
      case 0xd3:
        return integer(this.#wide(8).getBigInt64(0));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(1 << (marker - 0xd4));
      case 0xd9:
        return this.#text(this.#unsigned(1));
      case 0xda:
        return this.#text(this.#unsigned(2));
      case 0xdb:
        return this.#text(this.#unsigned(4));
      case 0xdc:
        return this.#array(this.#count(this.#unsigned(2), 1), depth, name);
      case 0xdd:
        return this.#array(this.#count(this.#unsigned(4), 1), depth, name);
      case 0xde:
        return this.#map(this.#count(this.#unsigned(2), 2), depth, name);
      case 0xdf:
        return this.#map(this.#count(this.#unsigned(4), 2), depth, name);
      default:
        return this.#fail("a byte begins no value");
    }
  }

  #wide(width: number): DataView {
    const start = this.#take(width);
    for (let index = 0; index < width; index++) scratchBytes[index] = this.#bytes[start + index]!;
    return scratch;
  }

  #text(length: number): string {
    const start = this.#take(length);
    return textAt(this.#bytes, start, start + length);
  }

  #binary(length: number): Uint8Array {
    const start = this.#take(length);
    // Not slice: of Node's Buffer that would be a view, and of the core's memory it must be a copy.
    const copy = new Uint8Array(length);
    copy.set(this.#bytes.subarray(start, start + length));
    return copy;
  }

  #array(count: number, depth: number, name: Name): unknown[] {
    if (depth >= MAX_DEPTH) this.#fail(`a value is more than ${MAX_DEPTH} deep`);
    const values: unknown[] = [];
    for (let index = 0; index < count; index++) values.push(this.#value(depth + 1, name));
    return values;
  }

  #map(count: number, depth: number, name: Name): Record<string, unknown> {
    const fields: Record<string, unknown> = {};
    this.#fields(fields, count, depth, name);
    return fields;
  }

  /** Reads the fields of the map that lies under `above`. Of two fields with one name the later one counts. */
  #fields(fields: Record<string, unknown>, count: number, depth: number, above: Name): void {
    if (depth >= MAX_DEPTH) this.#fail(`a value is more than ${MAX_DEPTH} deep`);
    let previous: Name | undefined;
    for (let index = 0; index < count; index++) {
      const guess = previous === undefined ? above.child : previous.next;
      let name: Name;
      if (guess !== undefined && matches(guess, this.#bytes, this.#position)) {
        name = guess;
        this.#take(guess.bytes.length);
      } else {
        name = this.#name();
        if (previous === undefined) above.child = name;
        else previous.next = name;
      }
      const value = this.#value(depth + 1, name);
      if (name.inherited) define(fields, name.text, value);
      else fields[name.text] = value;
      previous = name;
    }
  }

  #name(): Name {
    const start = this.#position;
    const marker = this.#byte();
    let length: number;
    if (marker >= 0xa0 && marker <= 0xbf) length = marker & 0x1f;
    else if (marker >= 0xd9 && marker <= 0xdb) length = this.#unsigned((1 << (marker - 0xd9)) as 1 | 2 | 4);
    else this.#fail("a field's name is no string");
    const body = this.#take(length);
    return nameAt(this.#bytes, start, body, body + length);
  }

  #mapCount(): number | undefined {
    const marker = this.#byte();
    if (marker >= 0x80 && marker <= 0x8f) return this.#count(marker & 0x0f, 2);
    if (marker === 0xde) return this.#count(this.#unsigned(2), 2);
    if (marker === 0xdf) return this.#count(this.#unsigned(4), 2);
    return undefined;
  }

  #extension(length: number): bigint | Date {
    const type = this.#wide(1).getInt8(0);
    const start = this.#take(length);
    if (type === BIGINT_TYPE) {
      if (length === 0) this.#fail("a big integer has no bytes");
      return bytesBigint(this.#bytes.subarray(start, start + length));
    }
    if (type === TIMESTAMP_TYPE) return this.#timestamp(length);
    return this.#fail(`an extension of an unknown type. type=${type}`);
  }

  /** The timestamp whose bytes were just passed. */
  #timestamp(length: number): Date {
    this.#position -= length;
    let seconds: number;
    let nanoseconds = 0;
    if (length === 4) {
      seconds = this.#unsigned(4);
    } else if (length === 8) {
      const high = this.#unsigned(4);
      nanoseconds = Math.floor(high / 4);
      seconds = (high % 4) * 0x100000000 + this.#unsigned(4);
    } else if (length === 12) {
      nanoseconds = this.#unsigned(4);
      seconds = Number(this.#wide(8).getBigInt64(0));
    } else {
      return this.#fail("a timestamp of an unknown form");
    }
    if (nanoseconds > 999_999_999) this.#fail("a timestamp with more than a second of nanoseconds");
    const milliseconds = seconds * 1000 + Math.floor(nanoseconds / 1_000_000);
    if (Math.abs(milliseconds) > LATEST_DATE) this.#fail("a timestamp beyond what a Date can say");
    return new Date(milliseconds);
  }
}

/** An integer of 64 bits: a number where that is exact. */
function integer(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Makes an own field, whatever Object.prototype has of that name: a setter for `__proto__`, or a frozen field. */
function define(fields: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true });
}

/** The one value that the bytes are. */
export function decode(bytes: Uint8Array, start = 0, end = bytes.length): unknown {
  const reader = new Reader(bytes, start, end);
  const value = reader.value();
  reader.finish();
  return value;
}
