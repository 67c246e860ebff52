/** Which documents, and reading them: in pages that the core bounds, all from one snapshot. */
import type * as contract from "../../types/offshoot.js";
import { Reader, encodeWith } from "../codec/index.js";
import { count as wholeNumber, invalidOption } from "./check.js";
import { decodeCursor, encodeCursor } from "./cursor.js";
import type { Session } from "./session.js";

interface Plan {
  readonly after: string | undefined;
  readonly skip: number;
  readonly limit: number;
  /** Rows of the result before `after`. */
  readonly taken: number;
}

const ALL: Plan = { after: undefined, skip: 0, limit: Number.POSITIVE_INFINITY, taken: 0 };

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
    return this.#with(decodeCursor(cursor));
  }

  async page(size: number): Promise<{ rows: contract.Stored<T>[]; next?: string }> {
    checkCount("size", size);
    if (size === 0) throw invalidOption("size", "must be at least 1", size);
    const { limit, taken } = this.#plan;
    // One row more than asked for tells whether there is a next page.
    const rows = await this.#with({ limit: Math.min(limit, taken + size + 1) }).toArray();
    if (rows.length <= size) return { rows };
    rows.length = size;
    return { rows, next: encodeCursor(rows[size - 1]!.id, taken + size) };
  }

  async first(): Promise<contract.Stored<T> | undefined> {
    return (await this.#with({ limit: Math.min(this.#plan.limit, this.#plan.taken + 1) }).toArray())[0];
  }

  async count(): Promise<number> {
    const { after, skip, limit } = this.#plan;
    if (after === undefined) {
      const all = await countDocuments(this.#session, this.#collection);
      return Math.min(limit, Math.max(0, all - skip));
    }
    let rows = 0;
    for await (const page of this.#pages()) rows += page.length;
    return rows;
  }

  async toArray(): Promise<contract.Stored<T>[]> {
    let all: contract.Stored<T>[] | undefined;
    for await (const page of this.#pages()) {
      if (all === undefined) all = page;
      else for (const row of page) all.push(row);
    }
    return all ?? [];
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<contract.Stored<T>, void, undefined> {
    // One by one: `yield*` would ask each page for a promise per element.
    for await (const page of this.#pages()) for (const row of page) yield row;
  }

  #with(change: Partial<Plan>): Query<T> {
    return new Query<T>(this.#session, this.#collection, { ...this.#plan, ...change });
  }

  async *#pages(): AsyncGenerator<contract.Stored<T>[], void, undefined> {
    let { after } = this.#plan;
    // Behind a cursor the rows to skip are behind us too.
    let skip = after === undefined ? this.#plan.skip : 0;
    let remaining = this.#plan.limit - this.#plan.taken;
    this.#session.check();
    if (remaining <= 0) return;
    const fixed = await this.#session.fixed();
    try {
      for (;;) {
        const answer = new Reader(await this.#read(fixed, after, skip, remaining));
        answer.arrayHeader();
        const next = answer.takeNil() ? undefined : (answer.value() as string);
        const rows = readRows<T>(answer);
        remaining -= rows.length;
        yield rows;
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
