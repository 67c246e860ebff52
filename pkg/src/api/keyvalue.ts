/** Values by key. The same class serves a database, a transaction and a snapshot; their types differ. */
import type * as contract from "../../types/offshoot.js";
import { Reader, type Writer, encodeWith } from "../codec/index.js";
import { isArray, lookingThrows } from "../codec/kinds.js";
import { OffshootError } from "../errors.js";
import { checkField, checkList, checkOptions, flag, invalidOption } from "./check.js";
import { writeKey, writeKeys } from "./keys.js";
import { KvQuery, type ListOptions, encodeRange } from "./list.js";
import type { Session } from "./session.js";

const SET = { ifAbsent: flag, ifPresent: flag };
/** The conditions of a `set`, by the core's numbers. */
const ALWAYS = 0;
const IF_ABSENT = 1;
const IF_PRESENT = 2;

export class KeyValue<V> implements contract.KeyValue<V> {
  readonly #session: Session;
  readonly #name: string;

  constructor(session: Session, name: string) {
    this.#session = session;
    this.#name = name;
  }

  async get(key: contract.Key): Promise<V | undefined> {
    return optionalValue(await this.#read("kvGet", 1, (writer) => writeKey(writer, key)));
  }

  async getMany(keys: readonly contract.Key[]): Promise<(V | undefined)[]> {
    checkList(keys, "INVALID_KEY", "keys");
    const answer = new Reader(await this.#read("kvGetMany", 1, (writer) => writeKeys(writer, keys)));
    return Array.from({ length: answer.arrayHeader() }, () => readOptional<V>(answer));
  }

  async has(key: contract.Key): Promise<boolean> {
    return new Reader(await this.#read("kvHas", 1, (writer) => writeKey(writer, key))).value() as boolean;
  }

  async getField<F extends contract.Fields<V>>(
    key: contract.Key,
    field: F,
  ): Promise<contract.FieldOf<V, F> | undefined> {
    checkField(field);
    const answer = await this.#read("kvGetField", 2, (writer) => {
      writeKey(writer, key);
      writer.string(field);
    });
    return optionalValue(answer);
  }

  list(options?: ListOptions): contract.KvQuery<V> {
    return new KvQuery<V>(this.#session, this.#name, options);
  }

  async count(options?: contract.KvRange): Promise<number> {
    const range = encodeRange(options, "count");
    return new Reader(await this.#read("kvCount", 1, (writer) => writer.raw(range))).value() as number;
  }

  async set(key: contract.Key, value: V, options?: { ifAbsent?: boolean; ifPresent?: boolean }): Promise<boolean> {
    checkOptions(options, SET, "set");
    if (options?.ifAbsent === true && options.ifPresent === true) {
      throw invalidOption("ifPresent", 'of set excludes the option "ifAbsent"');
    }
    const condition = options?.ifAbsent === true ? IF_ABSENT : options?.ifPresent === true ? IF_PRESENT : ALWAYS;
    const answer = await this.#write("kvSet", 2, (writer) => {
      writer.arrayHeader(1);
      writer.arrayHeader(2);
      writeKey(writer, key);
      writer.value(value);
      writer.number(condition);
    });
    return new Reader(answer).value() as boolean;
  }

  async setMany(entries: Iterable<readonly [contract.Key, V]>): Promise<void> {
    const list = Array.from(checkedEntries(entries));
    await this.#write("kvSet", 2, (writer) => {
      writer.arrayHeader(list.length);
      for (let index = 0; index < list.length; index++) {
        const [key, value] = checkedEntry(list[index], index);
        writer.arrayHeader(2);
        writeKey(writer, key);
        writer.enter(index);
        writer.value(value);
        writer.leave();
      }
      writer.number(ALWAYS);
    });
  }

  async delete(key: contract.Key): Promise<boolean> {
    return (await this.deleteMany([key])) > 0;
  }

  async deleteMany(keys: readonly contract.Key[]): Promise<number> {
    checkList(keys, "INVALID_KEY", "keys");
    return new Reader(await this.#write("kvDelete", 1, (writer) => writeKeys(writer, keys))).value() as number;
  }

  async setField<F extends contract.Fields<V>>(
    key: contract.Key,
    field: F,
    value: contract.FieldOf<V, F> | undefined,
  ): Promise<void> {
    checkField(field);
    await this.#write("kvSetField", 3, (writer) => {
      writeKey(writer, key);
      writer.string(field);
      writer.arrayHeader(value === undefined ? 0 : 1);
      writer.enter(field);
      if (value !== undefined) writer.value(value);
      writer.leave();
    });
  }

  #read(op: string, size: number, write: (writer: Writer) => void): Uint8Array | Promise<Uint8Array> {
    return encodeWith(
      (writer) => this.#op(writer, op, size, write),
      (bytes) => this.#session.read(bytes),
    );
  }

  #write(op: string, size: number, write: (writer: Writer) => void): Uint8Array | Promise<Uint8Array> {
    this.#session.check();
    return encodeWith(
      (writer) => this.#op(writer, op, size, write),
      (bytes) => this.#session.write(bytes),
    );
  }

  #op(writer: Writer, op: string, size: number, write: (writer: Writer) => void): void {
    writer.arrayHeader(2 + size);
    writer.string(op);
    writer.string(this.#name);
    write(writer);
  }
}

function optionalValue<V>(bytes: Uint8Array): V | undefined {
  return readOptional(new Reader(bytes));
}

function readOptional<V>(answer: Reader): V | undefined {
  return answer.arrayHeader() === 0 ? undefined : (answer.value() as V);
}

function checkedEntries<E>(entries: Iterable<E>): Iterable<E> {
  const why = lookingThrows(entries);
  const isIterable = (): boolean => typeof (entries as Iterable<E> | undefined)?.[Symbol.iterator] === "function";
  if (!("cause" in why) && isIterable()) return entries;
  const message = "entries must be pairs of key and value that can be iterated";
  throw new OffshootError("INVALID_VALUE", message, { path: "" }, why);
}

function checkedEntry<V>(entry: unknown, index: number): readonly [contract.Key, V] {
  if (isArray(entry) && entry.length === 2) return entry as unknown as readonly [contract.Key, V];
  const path = `[${index}]`;
  const message = `an entry must be a pair of key and value. path="${path}"`;
  throw new OffshootError("INVALID_VALUE", message, { path }, lookingThrows(entry));
}
