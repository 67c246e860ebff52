/**
 * One scope of the core in use: a database as it is now, a snapshot, or a transaction. Calls into the core go through
 * here: closed or not, synchronously or not, and every error as an OffshootError.
 */
import { Reader } from "../codec/index.js";
import type { CoreScope } from "../core.js";
import { OffshootError } from "../errors.js";
import { type Instance, free } from "../instance.js";

export type Mode = "live" | "snapshot" | "transaction";

/** A write of a transaction. It knows whether anybody wants to hear how it ends. */
class Call<R> extends Promise<R> {
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  isHeard = false;

  override then<A = R, B = never>(
    onFulfilled?: ((value: R) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.isHeard = true;
    return super.then(onFulfilled, onRejected);
  }
}

/** Reads the document that the core's synchronous `get` left in its memory. */
const documents = new Reader(new Uint8Array(0));

export class Session {
  readonly instance: Instance;
  readonly mode: Mode;
  readonly #parent: Session | undefined;
  /** Undefined: given back to the core. */
  #scope: CoreScope | undefined;
  #ended: { message: string; cause: unknown } | undefined;
  /** Functions that are called when the session ends. */
  readonly #waiting = new Set<() => void>();
  /** A transaction's calls that are under way, and those that failed. */
  readonly #pending = new Set<Promise<unknown>>();
  readonly #failed: { call: Call<unknown>; error: unknown }[] = [];

  constructor(instance: Instance, scope: CoreScope, mode: Mode, parent?: Session) {
    this.instance = instance;
    this.#scope = scope;
    this.mode = mode;
    this.#parent = parent;
  }

  get scope(): CoreScope {
    this.check();
    return this.#scope!;
  }

  /** Ends the session and gives its scope back to the core; `last` is the last call of it. */
  async close(message: string, last?: (scope: CoreScope) => Promise<void>, cause?: unknown): Promise<void> {
    this.end(message, cause);
    const scope = this.#scope;
    if (scope === undefined) return;
    this.#scope = undefined;
    try {
      const closing = last?.(scope);
      // Calls that are under way have what they need.
      free(scope);
      await closing;
    } catch (error) {
      throw this.instance.error(error);
    }
  }

  /** From here on every call fails with CLOSED; the first reason stays. */
  end(message: string, cause?: unknown): void {
    this.#ended ??= { message, cause };
    for (const tell of [...this.#waiting]) tell();
  }

  check(): void {
    if (this.#ended !== undefined) {
      const { message, cause } = this.#ended;
      throw new OffshootError("CLOSED", message, {}, cause === undefined ? {} : { cause });
    }
    this.#parent?.check();
  }

  /** Starts `work` and settles like it, unless the session ends first: then it is CLOSED, and the work unheard. */
  async unlessEnded<R>(work: () => Promise<R>): Promise<R> {
    this.check();
    let tell: () => void;
    const end = new Promise<never>((_, reject) => {
      tell = () => {
        try {
          this.check();
        } catch (error) {
          reject(error as OffshootError);
        }
      };
      this.#waiting.add(tell);
    });
    try {
      return await Promise.race([work(), end]);
    } finally {
      this.#waiting.delete(tell!);
    }
  }

  version(): string {
    this.check();
    return this.call(() => this.scope.version());
  }

  /** A synchronous call of the scope. */
  call<R>(work: () => R): R {
    try {
      return work();
    } catch (error) {
      throw this.instance.error(error);
    }
  }

  /** An asynchronous call of the scope. */
  async callAsync<R>(work: () => Promise<R>): Promise<R> {
    this.check();
    try {
      return await work();
    } catch (error) {
      throw this.instance.error(error);
    }
  }

  /** The shortest way to a document. Undefined: absent; `null`: it needs storage. */
  get(collection: string, id: string): object | undefined | null {
    this.check();
    const { instance } = this;
    let found: number;
    try {
      found = this.#scope!.get(collection, id);
    } catch (error) {
      throw instance.error(error);
    }
    if (found === 0) return undefined;
    if (found < 0) return null;
    const start = instance.core.result_ptr();
    documents.reset(instance.bytes(), start, start + instance.core.result_len());
    return documents.document(id);
  }

  /** Runs an op that only reads. The bytes are copied before this returns. */
  read(op: Uint8Array): Uint8Array | Promise<Uint8Array> {
    this.check();
    return this.call(() => this.#scope!.run(op)) ?? this.#later(op);
  }

  /** Runs an op that writes. Outside of a transaction that is a commit, which never ends at once. */
  write(op: Uint8Array): Uint8Array | Promise<Uint8Array> {
    if (this.mode === "transaction") return this.read(op);
    this.check();
    return this.#later(op);
  }

  async #later(op: Uint8Array): Promise<Uint8Array> {
    try {
      const work = this.#scope!.run_async(op);
      if (this.mode === "transaction") this.#track(work);
      return await work;
    } catch (error) {
      throw this.instance.error(error);
    }
  }

  #track(work: Promise<unknown>): void {
    const tracked = work.finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
    // The caller hears of a rejection. Here it matters only if the body ends before the call.
    tracked.catch(() => undefined);
  }

  /** A write of a transaction, which answers for it if nobody else does. */
  own<R>(answer: Promise<R>): Promise<R> {
    if (this.#ended !== undefined) return answer;
    this.#pending.add(answer);
    const call = new Call<R>((resolve, reject) => {
      const fail = (error: unknown): void => {
        this.#pending.delete(answer);
        this.#failed.push({ call, error });
        // Not by its own `then`: this is nobody who wants to hear.
        Promise.prototype.then.call(call, undefined, () => undefined);
        reject(error);
      };
      answer.then((value) => {
        this.#pending.delete(answer);
        resolve(value);
      }, fail);
    });
    return call;
  }

  /** Waits for the calls that are under way; rejects with the error of one of them, or of one that nobody heard of. */
  async settled(): Promise<void> {
    try {
      while (this.#pending.size > 0) await Promise.all(this.#pending);
    } catch (error) {
      throw this.instance.error(error);
    }
    const unheard = this.#failed.find(({ call }) => !call.isHeard);
    if (unheard !== undefined) throw unheard.error;
  }

  /** A session whose reads all see one point: itself, unless it is a live one. */
  async fixed(): Promise<Session> {
    if (this.mode !== "live") return this;
    const scope = await this.callAsync(async () => this.scope.snapshot());
    return new Session(this.instance, scope, "snapshot", this);
  }

  /** Gives back what `fixed` made. */
  release(fixed: Session): void {
    if (fixed === this) return;
    // Nobody waits for it, and a store that was closed meanwhile has given the snapshot back itself.
    fixed.close("the reading has ended", (scope) => scope.close()).catch(() => undefined);
  }
}
