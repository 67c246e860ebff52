/** The changes of a clone, read in pages between two fixed points. */
import type * as contract from "../../types/offshoot.js";
import { Reader } from "../codec/index.js";
import { OffshootError, aborted } from "../errors.js";
import type { Session } from "./session.js";

const PAGE_ROWS = 1000;

/** One side of a comparison, and how to give it back. */
export interface Side {
  readonly session: Session;
  release(): void;
}

export interface Comparison {
  readonly collection: string | undefined;
  readonly signal: AbortSignal | undefined;
  /** The database whose changes are listed. */
  subject(): Promise<Side>;
  /** The database that the subject is compared with; undefined: the clone's origin, as it was where the clone began. */
  against(): Promise<Side | undefined>;
}

export class Changes<S> implements contract.Changes<S> {
  readonly #comparison: Comparison;

  constructor(comparison: Comparison) {
    this.#comparison = comparison;
  }

  async toArray(): Promise<contract.Change<S>[]> {
    const all: contract.Change<S>[] = [];
    for await (const page of this.#pages()) for (const change of page) all.push(change);
    return all;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<contract.Change<S>, void, undefined> {
    // One by one: `yield*` would ask each page for a promise per element.
    for await (const page of this.#pages()) {
      for (const change of page) {
        this.#heed();
        yield change;
      }
    }
  }

  #heed(): void {
    const { signal } = this.#comparison;
    if (signal?.aborted === true) throw aborted(signal);
  }

  async *#pages(): AsyncGenerator<contract.Change<S>[], void, undefined> {
    const { collection } = this.#comparison;
    this.#heed();
    const subject = await this.#comparison.subject();
    let against: Side | undefined;
    try {
      against = await this.#comparison.against();
      let after: Uint8Array | undefined;
      do {
        this.#heed();
        const { session } = subject;
        const bytes = await session.callAsync(() =>
          against === undefined
            ? session.scope.diff_origin_page(collection, after, PAGE_ROWS)
            : session.scope.diff_page(against.session.scope, collection, after, PAGE_ROWS),
        );
        session.check();
        const answer = new Reader(bytes);
        answer.arrayHeader();
        after = answer.takeNil() ? undefined : (answer.value() as Uint8Array);
        yield readChanges<S>(answer);
      } while (after !== undefined);
    } finally {
      against?.release();
      subject.release();
    }
  }
}

export function readChanges<S>(answer: Reader): contract.Change<S>[] {
  const changes: contract.Change<S>[] = [];
  for (let left = answer.arrayHeader(); left > 0; left--) changes.push(readChange(answer) as contract.Change<S>);
  return changes;
}

/** [kind, collection, key, op, before, after, fields]; the op says which sides there are, since null is a value too. */
function readChange(answer: Reader): object {
  answer.arrayHeader();
  const kind = answer.value();
  const collection = answer.value();
  const key = answer.value();
  const op = answer.value();
  const side = (): unknown => (kind === "documents" ? answer.document(key as string) : answer.value());
  const absent = (): void => {
    if (answer.takeNil()) return;
    throw new OffshootError("STORAGE_CORRUPT", `a change has a side too many. op="${String(op)}"`);
  };
  const change: Record<string, unknown> = { kind, collection, key, op };
  if (op === "insert") absent();
  else change.before = side();
  if (op === "delete") absent();
  else change.after = side();
  const fields = answer.value();
  if (op === "update") change.fields = fields;
  return change;
}
