/**
 * A growing buffer with the words of MessagePack: numbers, text, bytes and headers, each in its shortest form, so that
 * one value has one encoding. Knows nothing of which JavaScript values are allowed: that is writer.ts.
 */
import { isWellFormed } from "./text.js";

const FIRST_SIZE = 4096;
/** A kept buffer is no larger than this. */
const KEPT_BYTES = 1024 * 1024;
/** Up to here a loop over the letters is faster than a call into TextEncoder. */
const SHORT_TEXT = 48;
const encoder = new TextEncoder();

export class Output {
  bytes: Uint8Array = new Uint8Array(FIRST_SIZE);
  position = 0;
  #view = new DataView(this.bytes.buffer);

  /** The bytes that were written so far; they are valid until the next write. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.position);
  }

  reserve(count: number): void {
    if (this.position + count > this.bytes.length) this.#grow(count);
  }

  #grow(count: number): void {
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.position + count));
    larger.set(this.bytes.subarray(0, this.position));
    this.#use(larger);
  }

  #use(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  /** Begins anew, and keeps the buffer unless it is large. */
  protected clear(): void {
    this.position = 0;
    if (this.bytes.length > KEPT_BYTES) this.#use(new Uint8Array(FIRST_SIZE));
  }

  nil(): void {
    this.#byte(0xc0);
  }

  boolean(value: boolean): void {
    this.#byte(value ? 0xc3 : 0xc2);
  }

  #byte(value: number): void {
    this.reserve(1);
    this.bytes[this.position++] = value;
  }

  /** A safe integer that is not -0 becomes a MessagePack integer, every other number a float64. */
  number(value: number): void {
    this.reserve(9);
    if ((value | 0) === value) {
      if (value > 0 || Object.is(value, 0)) this.#unsigned(value);
      else if (value < 0) this.#negative(value);
      else this.#float(value);
    } else if (Number.isSafeInteger(value)) {
      if (value >= 0) this.#unsigned(value);
      else this.#negative(value);
    } else {
      this.#float(value);
    }
  }

  #unsigned(value: number): void {
    const { bytes } = this;
    if (value < 0x80) {
      bytes[this.position++] = value;
    } else if (value < 0x100) {
      bytes[this.position++] = 0xcc;
      bytes[this.position++] = value;
    } else if (value < 0x10000) {
      this.#sized(0xcd, 2, value);
    } else if (value < 0x100000000) {
      this.#sized(0xce, 4, value);
    } else {
      bytes[this.position++] = 0xcf;
      this.#wide(value);
    }
  }

  #negative(value: number): void {
    const { bytes } = this;
    if (value >= -0x20) {
      bytes[this.position++] = value;
    } else if (value >= -0x80) {
      bytes[this.position++] = 0xd0;
      bytes[this.position++] = value;
    } else if (value >= -0x8000) {
      this.#sized(0xd1, 2, value);
    } else if (value >= -0x80000000) {
      this.#sized(0xd2, 4, value);
    } else {
      bytes[this.position++] = 0xd3;
      this.#wide(value);
    }
  }

  /** 64 bits of an integer, in two's complement. */
  #wide(value: number): void {
    this.#view.setUint32(this.position, Math.floor(value / 0x100000000));
    this.#view.setUint32(this.position + 4, value);
    this.position += 8;
  }

  #float(value: number): void {
    this.bytes[this.position++] = 0xcb;
    // The one NaN: which bits an engine would write for it is its own affair.
    if (Number.isNaN(value)) {
      this.#view.setUint32(this.position, 0x7ff80000);
      this.#view.setUint32(this.position + 4, 0);
    } else {
      this.#view.setFloat64(this.position, value);
    }
    this.position += 8;
  }

  /** A marker and an integer of 1, 2 or 4 bytes behind it. */
  #sized(marker: number, width: 1 | 2 | 4, value: number): void {
    this.bytes[this.position++] = marker;
    if (width === 1) this.bytes[this.position] = value;
    else if (width === 2) this.#view.setUint16(this.position, value);
    else this.#view.setUint32(this.position, value);
    this.position += width;
  }

  arrayHeader(count: number): void {
    this.reserve(5);
    if (count < 16) this.bytes[this.position++] = 0x90 | count;
    else if (count < 0x10000) this.#sized(0xdc, 2, count);
    else this.#sized(0xdd, 4, count);
  }

  mapHeader(count: number): void {
    this.reserve(5);
    if (count < 16) this.bytes[this.position++] = 0x80 | count;
    else if (count < 0x10000) this.#sized(0xde, 2, count);
    else this.#sized(0xdf, 4, count);
  }

  /** Writes a map's header again, behind which lie `count` fields where `announced` were expected. */
  correctMapHeader(at: number, announced: number, count: number): void {
    const end = this.position;
    this.position = at;
    this.mapHeader(announced);
    const body = this.position;
    this.position = at;
    this.mapHeader(count);
    // Mostly both headers are of one size, and the fields stay where they are.
    if (this.position !== body) this.bytes.copyWithin(this.position, body, end);
    this.position += end - body;
  }

  binary(value: Uint8Array): void {
    const { length } = value;
    this.reserve(5 + length);
    if (length < 0x100) this.#sized(0xc4, 1, length);
    else if (length < 0x10000) this.#sized(0xc5, 2, length);
    else this.#sized(0xc6, 4, length);
    this.bytes.set(value, this.position);
    this.position += length;
  }

  extensionHeader(type: number, length: number): void {
    this.reserve(6 + length);
    const fixed = [1, 2, 4, 8, 16].indexOf(length);
    if (fixed >= 0) this.bytes[this.position++] = 0xd4 + fixed;
    else if (length < 0x100) this.#sized(0xc7, 1, length);
    else if (length < 0x10000) this.#sized(0xc8, 2, length);
    else this.#sized(0xc9, 4, length);
    this.bytes[this.position++] = type;
  }

  /** Milliseconds as the standard timestamp, in the smallest of its three forms. */
  timestamp(milliseconds: number): void {
    const seconds = Math.floor(milliseconds / 1000);
    const nanoseconds = (milliseconds - seconds * 1000) * 1_000_000;
    if (seconds < 0 || seconds >= 0x400000000) {
      this.extensionHeader(-1, 12);
      this.#view.setUint32(this.position, nanoseconds);
      this.position += 4;
      this.#wide(seconds);
    } else if (nanoseconds !== 0 || seconds >= 0x100000000) {
      this.extensionHeader(-1, 8);
      this.#view.setUint32(this.position, nanoseconds * 4 + Math.floor(seconds / 0x100000000));
      this.#view.setUint32(this.position + 4, seconds);
      this.position += 8;
    } else {
      this.extensionHeader(-1, 4);
      this.#view.setUint32(this.position, seconds);
      this.position += 4;
    }
  }

  /** Text as UTF-8. False, with nothing written, when half of a surrogate pair stands alone in it. */
  text(value: string): boolean {
    const { length } = value;
    this.reserve(5 + length * 3);
    if (length > SHORT_TEXT) return this.#longText(value);
    const { bytes } = this;
    let position = this.position;
    if (length < 32) {
      bytes[position++] = 0xa0 | length;
    } else {
      bytes[position++] = 0xd9;
      bytes[position++] = length;
    }
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index);
      if (unit > 0x7f) return this.#shortText(value);
      bytes[position++] = unit;
    }
    this.position = position;
    return true;
  }

  #shortText(value: string): boolean {
    const { bytes } = this;
    const body = this.position + textHeaderSize(value.length);
    let position = body;
    for (let index = 0; index < value.length; index++) {
      let unit = value.charCodeAt(index);
      if (unit < 0x80) {
        bytes[position++] = unit;
        continue;
      }
      if (unit < 0x800) {
        bytes[position++] = 0xc0 | (unit >> 6);
      } else {
        if (unit >= 0xd800 && unit <= 0xdfff) {
          const low = value.charCodeAt(++index);
          if (unit > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) return false;
          unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
          bytes[position++] = 0xf0 | (unit >> 18);
          bytes[position++] = 0x80 | ((unit >> 12) & 0x3f);
        } else {
          bytes[position++] = 0xe0 | (unit >> 12);
        }
        bytes[position++] = 0x80 | ((unit >> 6) & 0x3f);
      }
      bytes[position++] = 0x80 | (unit & 0x3f);
    }
    this.#closeText(body, position - body);
    return true;
  }

  #longText(value: string): boolean {
    if (!isWellFormed(value)) return false;
    const body = this.position + textHeaderSize(value.length);
    this.#closeText(body, encoder.encodeInto(value, this.bytes.subarray(body)).written);
    return true;
  }

  /** Writes the header of `length` bytes of text at `body`, where a header guessed from the letters put them. */
  #closeText(body: number, length: number): void {
    const start = this.position + textHeaderSize(length);
    if (start !== body) this.bytes.copyWithin(start, body, body + length);
    if (length < 32) this.bytes[this.position++] = 0xa0 | length;
    else if (length < 0x100) this.#sized(0xd9, 1, length);
    else if (length < 0x10000) this.#sized(0xda, 2, length);
    else this.#sized(0xdb, 4, length);
    this.position += length;
  }
}

function textHeaderSize(length: number): number {
  if (length < 32) return 1;
  if (length < 0x100) return 2;
  return length < 0x10000 ? 3 : 5;
}
