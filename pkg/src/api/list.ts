/** Entries of a range of keys, read in pages from one snapshot. */
import type * as contract from "../../types/offshoot.js";
import { Reader, type Writer, encodeWith } from "../codec/index.js";
import { OffshootError } from "../errors.js";
import { anything, checkOptions, count, flag, invalidOption } from "./check.js";
import { writeKey } from "./keys.js";
import type { Session } from "./session.js";

const RANGE = { prefix: anything, start: anything, startAfter: anything, end: anything };
const LIST = { ...RANGE, reverse: flag, limit: count };

export interface ListOptions extends contract.KvRange {
  reverse?: boolean;
  limit?: number;
}

/** The range in bytes, so that the caller's objects are free to change. */
export function encodeRange(range: contract.KvRange | undefined, call: "count" | "list"): Uint8Array {
  checkOptions(range, call === "list" ? LIST : RANGE, call);
  const { prefix, start, startAfter, end } = range ?? {};
  if (start !== undefined && startAfter !== undefined) {
    throw invalidOption("startAfter", `of ${call} excludes the option "start"`);
  }
  if (typeof prefix === "number") {
    throw new OffshootError(
      "INVALID_KEY",
      `a prefix is text, bytes or leading parts, not a number. value=${String(prefix)}`,
    );
  }
  const write = (writer: Writer): void => {
    writer.arrayHeader(4);
    for (const key of [prefix, start, startAfter, end]) {
      if (key === undefined) writer.nil();
      else writeKey(writer, key);
    }
  };
  return encodeWith(write, (bytes) => bytes.slice());
}

export class KvQuery<V> implements contract.KvQuery<V> {
  readonly #session: Session;
  readonly #collection: string;
  readonly #range: Uint8Array;
  readonly #reverse: boolean;
  readonly #limit: number;

  constructor(session: Session, collection: string, options: ListOptions | undefined) {
    this.#session = session;
    this.#collection = collection;
    this.#range = encodeRange(options, "list");
    this.#reverse = options?.reverse ?? false;
    this.#limit = options?.limit ?? Number.POSITIVE_INFINITY;
  }

  async toArray(): Promise<[contract.Key, V][]> {
    let all: [contract.Key, V][] | undefined;
    for await (const page of this.#pages()) {
      if (all === undefined) all = page;
      else for (const entry of page) all.push(entry);
    }
    return all ?? [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<[contract.Key, V], void, undefined> {
    // One by one: `yield*` would ask each page for a promise per element.
    for await (const page of this.#pages()) {
      for (const entry of page) {
        this.#session.check();
        yield entry;
      }
    }
  }

  async *#pages(): AsyncGenerator<[contract.Key, V][], void, undefined> {
    this.#session.check();
    let remaining = this.#limit;
    if (remaining <= 0) return;
    const fixed = await this.#session.fixed();
    let after: contract.Key | undefined;
    try {
      for (;;) {
        const answer = new Reader(await this.#read(fixed, remaining, after));
        answer.arrayHeader();
        after = answer.takeNil() ? undefined : (answer.value() as contract.Key);
        const entries = readEntries<V>(answer);
        remaining -= entries.length;
        this.#session.check();
        yield entries;
        if (after === undefined || remaining <= 0) return;
      }
    } finally {
      this.#session.release(fixed);
    }
  }

  #read(session: Session, limit: number, after: contract.Key | undefined): Uint8Array | Promise<Uint8Array> {
    return encodeWith(
      (writer) => {
        writer.arrayHeader(6);
        writer.string("kvList");
        writer.string(this.#collection);
        writer.raw(this.#range);
        writer.boolean(this.#reverse);
        if (limit === Number.POSITIVE_INFINITY) writer.nil();
        else writer.number(limit);
        if (after === undefined) writer.nil();
        else writeKey(writer, after);
      },
      (op) => session.read(op),
    );
  }
}

/** One by one, since each value may be as deep as values can be. */
function readEntries<V>(answer: Reader): [contract.Key, V][] {
  const entries: [contract.Key, V][] = [];
  for (let left = answer.arrayHeader(); left > 0; left--) {
    answer.arrayHeader();
    entries.push([answer.value() as contract.Key, answer.value() as V]);
  }
  return entries;
}
