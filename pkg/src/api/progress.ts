/** Long work of the core: it tells how far it is, and a signal ends it. */
import type { Progress } from "../../types/offshoot.js";
import type { CoreWatch } from "../core.js";
import { OffshootError, aborted } from "../errors.js";
import { callable, checkOptions, signal as abortSignal } from "./check.js";
import type { Session } from "./session.js";

export const PROGRESS = { signal: abortSignal, onProgress: callable };

/** The caller's own listener. An error that it throws, or rejects with, ends the work that it listens to. */
export class Listener {
  /** The first error that the caller's function threw. */
  failure: { readonly error: unknown } | undefined;
  readonly #onProgress: Progress["onProgress"];
  readonly #pending = new Set<Promise<void>>();

  constructor(onProgress: Progress["onProgress"]) {
    this.#onProgress = onProgress;
  }

  check(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }

  tell(progress: Parameters<NonNullable<Progress["onProgress"]>>[0]): void {
    const fail = (error: unknown): void => {
      this.failure ??= { error };
    };
    try {
      const answer: unknown = this.#onProgress?.(progress);
      if (!(answer instanceof Promise)) return;
      const told = answer.then(() => undefined, fail).finally(() => this.#pending.delete(told));
      this.#pending.add(told);
    } catch (error) {
      fail(error);
    }
  }

  /** Waits for what it was told. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
    this.check();
  }
}

/** Runs `work`. A signal ends it with ABORTED. An error of the listener ends it too, and is thrown on unchanged. */
export async function watched<R>(
  session: Session,
  call: string,
  options: Progress | undefined,
  work: (watch: CoreWatch) => Promise<R>,
): Promise<R> {
  checkOptions(options, PROGRESS, call);
  const { signal, onProgress } = options ?? {};
  session.check();
  const isAborted = (): boolean => signal?.aborted === true;
  if (isAborted()) throw aborted(signal!);
  const listener = new Listener(onProgress);
  const watch: CoreWatch = (progress) => {
    if (listener.failure === undefined) listener.tell(progress);
    return listener.failure === undefined && !isAborted();
  };
  try {
    const done = await work(watch);
    await listener.settled();
    return done;
  } catch (error) {
    listener.check();
    const told = session.instance.error(error);
    throw isAborted() && OffshootError.is(told, "ABORTED") ? aborted(signal!) : told;
  }
}
