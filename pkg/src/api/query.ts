/** Which documents, and reading them: in pages that the core bounds, all from one snapshot. */
import type * as contract from "../../types/offshoot.js";
import { Reader, encodeWith } from "../codec/index.js";
import { count as wholeNumber, invalidOption } from "./check.js";
import { type Cursor, decodeCursor, encodeCursor } from "./cursor.js";
import type { Session } from "./session.js";

interface Plan {
  /** The point at which the page before ended. */
  readonly cursor: Cursor | undefined;
  readonly skip: number;
  readonly limit: number;
}

const ALL: Plan = { cursor: undefined, skip: 0, limit: Number.POSITIVE_INFINITY };

export class Query<T> implements contract.Query<T> {
  readonly #session: Session;
  readonly #collection: string;
  readonly #plan: Plan;

  constructor(session: Session, collection: string, plan = ALL) {
    this.#session = session;
    this.#collection = collection;
    this.#plan = plan;
  }

  skip(rows: number): contract.Query<T> {
    checkCount("skip", rows);
    return this.#with({ skip: rows });
  }

  limit(rows: number): contract.Query<T> {
    checkCount("limit", rows);
    return this.#with({ limit: rows });
  }

  after(cursor: string): contract.Query<T> {
    const read = decodeCursor(cursor);
    if (read.collection !== this.#collection) {
      throw invalidOption("cursor", `is of the collection "${read.collection}", not of "${this.#collection}"`, cursor);
    }
    return this.#with({ cursor: read });
  }

  async page(size: number): Promise<{ rows: contract.Stored<T>[]; next?: string }> {
    checkCount("size", size);
    if (size === 0) throw invalidOption("size", "must be at least 1", size);
    const left = this.#left();
    // One row more than asked for tells whether there is a next page.
    const rows = await this.#take(Math.min(left, size + 1));
    if (rows.length <= size) return { rows };
    rows.length = size;
    const { limit } = this.#plan;
    const place = { collection: this.#collection, after: rows[size - 1]!.id };
    if (limit === Number.POSITIVE_INFINITY) return { rows, next: encodeCursor(place) };
    return { rows, next: encodeCursor({ ...place, limited: { limit, taken: limit - left + size } }) };
  }

  async first(): Promise<contract.Stored<T> | undefined> {
    return (await this.#take(Math.min(this.#left(), 1)))[0];
  }

  async count(): Promise<number> {
    const { cursor, skip, limit } = this.#plan;
    if (cursor === undefined) {
      const all = await countDocuments(this.#session, this.#collection);
      return Math.min(limit, Math.max(0, all - skip));
    }
    let rows = 0;
    for await (const page of this.#pages(this.#left())) rows += page.length;
    return rows;
  }

  async toArray(): Promise<contract.Stored<T>[]> {
    return this.#take(this.#left());
  }

  async #take(rows: number): Promise<contract.Stored<T>[]> {
    let all: contract.Stored<T>[] | undefined;
    for await (const page of this.#pages(rows)) {
      if (all === undefined) all = page;
      else for (const row of page) all.push(row);
    }
    return all ?? [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<contract.Stored<T>, void, undefined> {
    // One by one: `yield*` would ask each page for a promise per element.
    for await (const page of this.#pages(this.#left())) {
      for (const row of page) {
        this.#session.check();
        yield row;
      }
    }
  }

  #with(change: Partial<Plan>): Query<T> {
    return new Query<T>(this.#session, this.#collection, { ...this.#plan, ...change });
  }

  /** How many rows may come. A limit counts those that the pages before a cursor gave, if they were of that limit. */
  #left(): number {
    const { cursor, limit } = this.#plan;
    if (cursor?.limited === undefined) return limit;
    if (cursor.limited.limit === limit) return limit - cursor.limited.taken;
    throw invalidOption("cursor", `is of a query with another limit. limit=${cursor.limited.limit}`, limit);
  }

  async *#pages(rows: number): AsyncGenerator<contract.Stored<T>[], void, undefined> {
    let after = this.#plan.cursor?.after;
    // Behind a cursor the rows to skip are behind us too.
    let skip = after === undefined ? this.#plan.skip : 0;
    let remaining = rows;
    this.#session.check();
    if (remaining <= 0) return;
    const fixed = await this.#session.fixed();
    try {
      for (;;) {
        const answer = new Reader(await this.#read(fixed, after, skip, remaining));
        answer.arrayHeader();
        const next = answer.takeNil() ? undefined : (answer.value() as string);
        const page = readRows<T>(answer);
        remaining -= page.length;
        // If the handle was closed or the transaction ended while this page was read, give no page.
        this.#session.check();
        yield page;
        if (next === undefined || remaining <= 0) return;
        after = next;
        skip = 0;
      }
    } finally {
      this.#session.release(fixed);
    }
  }

  #read(session: Session, after: string | undefined, skip: number, limit: number): Uint8Array | Promise<Uint8Array> {
    return encodeWith(
      (writer) => {
        writer.arrayHeader(5);
        writer.string("find");
        writer.string(this.#collection);
        if (after === undefined) writer.nil();
        else writer.string(after);
        writer.number(skip);
        if (limit === Number.POSITIVE_INFINITY) writer.nil();
        else writer.number(limit);
      },
      (op) => session.read(op),
    );
  }
}

/** All documents of a collection, counted by the core. */
export async function countDocuments(session: Session, collection: string): Promise<number> {
  const answer = await encodeWith(
    (writer) => {
      writer.arrayHeader(2);
      writer.string("count");
      writer.string(collection);
    },
    (op) => session.read(op),
  );
  return new Reader(answer).value() as number;
}

function readRows<T>(answer: Reader): contract.Stored<T>[] {
  const rows: contract.Stored<T>[] = [];
  for (let left = answer.arrayHeader(); left > 0; left--) {
    answer.arrayHeader();
    rows.push(answer.document(answer.value() as string) as contract.Stored<T>);
  }
  return rows;
}

function checkCount(name: string, value: unknown): void {
  if (!wholeNumber.is(value)) throw invalidOption(name, `must be ${wholeNumber.words}`, value);
}
