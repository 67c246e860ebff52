/**
 * Encodes values, and the arrays around them that are the ops of the core. One writer is kept and used again; it is
 * lent, since a getter in a value that is being encoded may itself call the database.
 */
import { OffshootError } from "../errors.js";
import { bigintBytes } from "./bigint.js";
import { Output } from "./output.js";
import { findCycle } from "./cycle.js";
import { dateMilliseconds, describeKind, isDetached, kindOf, lookingThrows } from "./kinds.js";
import { MAX_BYTES, MAX_DEPTH } from "./limits.js";
import { type Step, pathText } from "./path.js";

export const BIGINT_TYPE = 1;

export class Writer extends Output {
  /** Where the value being written is: `#outer` steps to it from the call's argument, then one per container. */
  readonly #steps: Step[] = [];
  #outer = 0;
  /** Where the value being written must have ended. */
  #end = 0;
  #root: unknown;

  restart(): void {
    this.clear();
    this.#outer = 0;
    this.#root = undefined;
  }

  /** Names what is written from here on: `[3]` of the documents, `$set` of the operators. Undone by `leave`. */
  enter(step: Step): void {
    this.#steps[this.#outer++] = step;
  }

  leave(): void {
    this.#outer--;
  }

  /** One whole value. */
  value(value: unknown): void {
    this.#begin(value);
    this.#value(value, 0);
    if (this.position > this.#end) this.#tooLarge(0);
  }

  /** A document without its id, which travels beside it. */
  document(document: object): void {
    this.#begin(document);
    this.#fields(document, 0, true);
    if (this.position > this.#end) this.#tooLarge(0);
  }

  /** Text that is part of an op's frame: a name, an id. */
  string(value: string): void {
    this.#begin(value);
    this.#text(value, 0);
  }

  /** Bytes that are encoded already. */
  raw(encoded: Uint8Array): void {
    this.reserve(encoded.length);
    this.bytes.set(encoded, this.position);
    this.position += encoded.length;
  }

  #begin(root: unknown): void {
    this.#root = root;
    this.#end = this.position + MAX_BYTES;
  }

  #value(value: unknown, depth: number): void {
    if (this.position > this.#end) this.#tooLarge(depth);
    switch (typeof value) {
      case "string":
        this.#text(value, depth);
        break;
      case "number":
        this.number(value);
        break;
      case "boolean":
        this.boolean(value);
        break;
      case "object":
        if (value === null) this.nil();
        else this.#object(value, depth);
        break;
      case "bigint":
        this.#bigint(value, depth);
        break;
      default:
        this.#invalid(depth, `${typeof value} can't be stored`);
    }
  }

  #text(value: string, depth: number): void {
    if (value.length > MAX_BYTES) this.#tooLarge(depth);
    if (!this.text(value)) this.#invalid(depth, "a string with a lone surrogate can't be stored");
  }

  #object(value: object, depth: number): void {
    switch (kindOf(value)) {
      case "array":
        this.#array(value as readonly unknown[], depth);
        break;
      case "plain":
        this.#fields(value, depth, false);
        break;
      case "bytes":
        this.#binary(value as Uint8Array, depth);
        break;
      case "date":
        this.#date(dateMilliseconds(value), depth);
        break;
      default:
        this.#invalid(depth, `${describeKind(value)} can't be stored`, lookingThrows(value));
    }
  }

  #date(milliseconds: number | undefined, depth: number): void {
    if (milliseconds === undefined || Number.isNaN(milliseconds)) {
      this.#invalid(depth, "an invalid Date can't be stored");
    }
    this.timestamp(milliseconds);
  }

  #binary(value: Uint8Array, depth: number): void {
    if (value.length > MAX_BYTES) this.#tooLarge(depth);
    if (value.length === 0 && isDetached(value)) {
      this.#invalid(depth, "bytes whose buffer was transferred can't be stored");
    }
    this.binary(value);
  }

  #bigint(value: bigint, depth: number): void {
    const bytes = bigintBytes(value);
    if (bytes.length > MAX_BYTES) this.#tooLarge(depth);
    this.extensionHeader(BIGINT_TYPE, bytes.length);
    this.bytes.set(bytes, this.position);
    this.position += bytes.length;
  }

  #array(values: readonly unknown[], depth: number): void {
    this.#checkContainer(depth);
    const { length } = values;
    if (length > MAX_BYTES) this.#tooLarge(depth);
    this.arrayHeader(length);
    const step = this.#outer + depth;
    for (let index = 0; index < length; index++) {
      const value = values[index];
      this.#steps[step] = index;
      if (value === undefined) this.#invalid(depth + 1, "undefined or a hole in an array can't be stored");
      this.#value(value, depth + 1);
    }
    // A getter on the way may have changed the array; its header is written already.
    if (values.length !== length) this.#invalid(depth, "the array changed while it was read");
  }

  /**
   * A map of the enumerable fields, without those that a symbol names. Undefined ones are left out, so the header may
   * have promised too many.
   */
  #fields(fields: object, depth: number, withoutId: boolean): void {
    this.#checkContainer(depth);
    const names = this.#names(fields, depth);
    const start = this.position;
    const announced = names.length;
    this.mapHeader(announced);
    const step = this.#outer + depth;
    let count = 0;
    for (let index = 0; index < announced; index++) {
      const name = names[index] as string;
      if (withoutId && name === "id") continue;
      const value = (fields as Record<string, unknown>)[name];
      if (value === undefined) continue;
      this.#steps[step] = name;
      this.#text(name, depth + 1);
      this.#value(value, depth + 1);
      count++;
    }
    if (count !== announced) this.correctMapHeader(start, announced, count);
  }

  #names(fields: object, depth: number): string[] {
    try {
      return Object.keys(fields);
    } catch (cause) {
      // A proxy that refuses, or that was revoked by a getter on the way.
      this.#invalid(depth, "an object whose fields can't be listed can't be stored", { cause });
    }
  }

  #checkContainer(depth: number): void {
    if (depth < MAX_DEPTH) return;
    const cycle = findCycle(this.#root as object);
    if (cycle === undefined) this.#tooLarge(depth, `a value is at most ${MAX_DEPTH} deep`);
    const path = pathText(this.#steps, this.#outer) + (this.#outer > 0 && !cycle.startsWith("[") ? "." : "") + cycle;
    throw new OffshootError("INVALID_VALUE", `a value can't contain itself. path="${path}"`, { path });
  }

  #invalid(depth: number, message: string, options: { cause?: unknown } = {}): never {
    const path = pathText(this.#steps, this.#outer + depth);
    throw new OffshootError("INVALID_VALUE", `${message}. path="${path}"`, { path }, options);
  }

  #tooLarge(depth: number, message = `a value has at most ${MAX_BYTES} bytes`): never {
    const path = pathText(this.#steps, this.#outer + depth);
    throw new OffshootError("TOO_LARGE", `${message}. path="${path}"`, { path });
  }
}

let spare: Writer | undefined;

/**
 * Lends a writer to `write`, and what was written to `use`, which must not keep the bytes: the next op overwrites them.
 * Calls into wasm copy what they are given.
 */
export function encodeWith<R>(write: (writer: Writer) => void, use: (bytes: Uint8Array) => R): R {
  const writer = spare ?? new Writer();
  spare = undefined;
  writer.restart();
  try {
    write(writer);
    return use(writer.written());
  } finally {
    writer.restart();
    // Kept whatever it wrote: engines throw their fast code away when the last object that it was made for is gone.
    spare = writer;
  }
}

/** The bytes of one value, the caller's to keep. */
export function encode(value: unknown): Uint8Array {
  return encodeWith(
    (writer) => writer.value(value),
    (bytes) => bytes.slice(),
  );
}
