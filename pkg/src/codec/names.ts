/**
 * Field names, decoded once. Documents of one collection have the same fields in the same order, so each name remembers
 * which came next and which came first in the map below it: comparing bytes with that guess costs less than decoding.
 */
import { textAt } from "./utf8.js";

export interface Name {
  /** The name as it lies in a map, header included. */
  bytes: Uint8Array;
  text: string;
  /** Object.prototype has a field of this name, so plain assignment would not reliably make an own one. */
  readonly inherited: boolean;
  next: Name | undefined;
  child: Name | undefined;
}

const SLOTS = 1024;
/** Longer names are decoded each time, so that what is kept stays small. */
const LONGEST = 64;
/** The `bytes` of a name that `matches` never finds: the name is too long, or another name took its slot. */
const NEVER = new Uint8Array(0);

const slots: (Name | undefined)[] = new Array<Name | undefined>(SLOTS).fill(undefined);

/** The name before the first one of a value. */
export function rootName(): Name {
  return { bytes: NEVER, text: "", inherited: false, next: undefined, child: undefined };
}

export function matches(name: Name, bytes: Uint8Array, position: number): boolean {
  const expected = name.bytes;
  if (expected.length === 0) return false;
  // Past the end of `bytes` lies undefined, which equals no byte; past the end of the message, the caller looks.
  for (let index = 0; index < expected.length; index++) {
    if (bytes[position + index] !== expected[index]) return false;
  }
  return true;
}

/** The name whose header begins at `start` and whose text lies from `body` to `end`. */
export function nameAt(bytes: Uint8Array, start: number, body: number, end: number): Name {
  if (end - start > LONGEST) return make(bytes, start, body, end);
  let hash = 0;
  for (let index = body; index < end; index++) hash = (Math.imul(hash, 31) + bytes[index]!) | 0;
  const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
  const known = slots[slot];
  if (known !== undefined && known.bytes.length === end - start && matches(known, bytes, start)) return known;
  const name = make(bytes, start, body, end);
  if (known !== undefined) {
    known.bytes = NEVER;
    known.next = undefined;
    known.child = undefined;
  }
  slots[slot] = name;
  return name;
}

function make(bytes: Uint8Array, start: number, body: number, end: number): Name {
  const text = textAt(bytes, body, end);
  const kept = end - start > LONGEST ? NEVER : bytes.slice(start, end);
  return { bytes: kept, text, inherited: text in Object.prototype, next: undefined, child: undefined };
}
