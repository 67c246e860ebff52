/** Documents by id. The same class serves a database, a transaction and a snapshot; their types differ. */
import type * as contract from "../../types/offshoot.js";
import { Reader, type Writer, encodeWith } from "../codec/index.js";
import { describeKind, isPlainObject, lookingThrows } from "../codec/kinds.js";
import { OffshootError } from "../errors.js";
import { checkId, checkList } from "./check.js";
import { Query, countDocuments } from "./query.js";
import type { Session } from "./session.js";
import { writeUpdate } from "./update.js";

export class Collection<T> implements contract.Collection<T> {
  readonly #session: Session;
  readonly #name: string;

  constructor(session: Session, name: string) {
    this.#session = session;
    this.#name = name;
  }

  async get(id: string): Promise<contract.Stored<T> | undefined> {
    checkId(id);
    const found = this.#session.get(this.#name, id);
    if (found !== null) return found as contract.Stored<T> | undefined;
    const answer = await this.#read("get", 1, (writer) => writer.string(id));
    return optionalDocument(new Reader(answer), id);
  }

  async getMany(ids: readonly string[]): Promise<(contract.Stored<T> | undefined)[]> {
    const asked = checkedIds(ids);
    const answer = new Reader(await this.#read("getMany", 1, (writer) => writeIds(writer, asked)));
    answer.arrayHeader();
    return asked.map((id) => optionalDocument<T>(answer, id));
  }

  find(): contract.Query<T> {
    refuseFilter(arguments);
    return new Query<T>(this.#session, this.#name);
  }

  async count(): Promise<number> {
    refuseFilter(arguments);
    return countDocuments(this.#session, this.#name);
  }

  async insert(document: contract.New<T>): Promise<string> {
    return (await this.#add("insert", [document], false))[0]!;
  }

  async insertMany(documents: readonly contract.New<T>[]): Promise<string[]> {
    return this.#add("insert", documents, true);
  }

  async put(document: contract.New<T>): Promise<string> {
    return (await this.#add("put", [document], false))[0]!;
  }

  async putMany(documents: readonly contract.New<T>[]): Promise<string[]> {
    return this.#add("put", documents, true);
  }

  async update(id: string, change: contract.Update<T>): Promise<boolean> {
    checkId(id);
    const answer = await this.#write("update", 2, (writer) => {
      writer.string(id);
      writeUpdate(writer, change);
    });
    return new Reader(answer).value() as boolean;
  }

  async delete(id: string): Promise<boolean> {
    return (await this.deleteMany([id])) > 0;
  }

  async deleteMany(which: readonly string[]): Promise<number> {
    const ids = checkedIds(which);
    return new Reader(await this.#write("delete", 1, (writer) => writeIds(writer, ids))).value() as number;
  }

  async #add(op: "insert" | "put", documents: readonly unknown[], many: boolean): Promise<string[]> {
    checkList(documents, "INVALID_VALUE", "documents");
    const answer = await this.#write(op, 1, (writer) => {
      writer.arrayHeader(documents.length);
      for (let index = 0; index < documents.length; index++) {
        if (many) writer.enter(index);
        writeDocument(writer, documents[index], many ? `[${index}]` : "");
        if (many) writer.leave();
      }
    });
    return new Reader(answer).value() as string[];
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

/** The id, or nil where the core is to make one, and the other fields. */
function writeDocument(writer: Writer, document: unknown, path: string): void {
  if (!isPlainObject(document)) {
    const message = `a document must be a plain object, not ${describeKind(document)}. path="${path}"`;
    throw new OffshootError("INVALID_VALUE", message, { path }, lookingThrows(document));
  }
  const { id } = document;
  writer.arrayHeader(2);
  if (id === undefined) {
    writer.nil();
  } else {
    checkId(id);
    writer.string(id);
  }
  writer.document(document);
}

function optionalDocument<T>(answer: Reader, id: string): contract.Stored<T> | undefined {
  return answer.arrayHeader() === 0 ? undefined : (answer.document(id) as contract.Stored<T>);
}

/** A checked copy of the ids: the caller can't change it before it is encoded. */
function checkedIds(ids: readonly string[]): string[] {
  checkList(ids, "INVALID_KEY", "ids");
  const copy = Array.from(ids);
  copy.forEach(checkId);
  return copy;
}

function writeIds(writer: Writer, ids: readonly string[]): void {
  writer.arrayHeader(ids.length);
  for (const id of ids) writer.string(id);
}

/** Untyped code may ask for a part and must not be given all. */
function refuseFilter(given: IArguments): void {
  if (given.length === 0 || given[0] === undefined) return;
  throw new OffshootError("INVALID_FILTER", "this version finds and counts without a filter", { path: "" });
}
