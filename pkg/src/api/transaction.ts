/** Transactions: the core runs and repeats them; here the body gets its handle, and its errors come out unchanged. */
import type * as contract from "../../types/offshoot.js";
import type { CoreScope, CoreTransactionOptions } from "../core.js";
import { aborted, unlessAborted } from "../errors.js";
import { callable, checkOptions, count, invalidOption, oneOf, signal as abortSignal } from "./check.js";
import { Scoped } from "./scoped.js";
import { Session } from "./session.js";

const OPTIONS = {
  isolation: oneOf("serializable", "snapshot"),
  retries: count,
  durability: oneOf("relaxed", "strict"),
  onCommit: callable,
  signal: abortSignal,
};

const ENDED = "the transaction has ended";

class Transaction<S extends contract.SchemaOf<S>> extends Scoped<S> implements contract.Transaction<S> {}

type Body<S extends contract.SchemaOf<S>, R> = (tx: contract.Transaction<S>) => R | Promise<R>;

export async function runTransaction<S extends contract.SchemaOf<S>, R>(
  live: Session,
  body: Body<S, R>,
  options: contract.TransactionOptions = {},
): Promise<R> {
  if (!callable.is(body)) throw invalidOption("body", `of transaction must be ${callable.words}`, body);
  checkOptions(options, OPTIONS, "transaction");
  live.check();
  const { signal } = options;
  if (signal?.aborted === true) throw aborted(signal);
  let result: { value: R } | undefined;
  let failure: { error: unknown } | undefined;
  const attempt = async (scope: CoreScope): Promise<void> => {
    failure = undefined;
    const session = new Session(live.instance, scope, "transaction", live);
    try {
      result = { value: await live.unlessEnded(() => runBody(session, body, signal)) };
      // If the handle was closed while the body ran, fail: a closed handle must commit nothing.
      live.check();
    } catch (error) {
      failure = { error };
      throw error;
    } finally {
      // The core pins the history that a transaction reads for as long as this scope is there, whoever keeps `tx`.
      await session.close(ENDED);
    }
  };
  try {
    await live.scope.transaction(attempt, coreOptions(options));
  } catch (error) {
    // The body's own error must not be taken for one of the core's, whatever it looks like.
    if (failure !== undefined && failure.error === error) throw error;
    throw live.instance.error(error);
  }
  return result!.value;
}

/**
 * Runs the body once. When it has ended, calls on the transaction that are still under way (nobody awaited them) are
 * waited for, and if one fails so does the transaction; so it does if a write has failed that nobody heard of. A
 * forgotten `await` must not lose a write in silence. Later calls are CLOSED.
 */
async function runBody<S extends contract.SchemaOf<S>, R>(
  session: Session,
  body: Body<S, R>,
  signal: AbortSignal | undefined,
): Promise<R> {
  const work = async (): Promise<R> => {
    const value = await body(new Transaction<S>(session));
    session.end(ENDED);
    await session.settled();
    return value;
  };
  try {
    return await unlessAborted(signal, work);
  } finally {
    session.end(ENDED);
  }
}

function coreOptions(options: contract.TransactionOptions): CoreTransactionOptions {
  const { isolation, retries, durability, onCommit } = options;
  const given: CoreTransactionOptions = {};
  if (isolation !== undefined) given.isolation = isolation;
  if (retries !== undefined) given.retries = retries;
  if (durability !== undefined) given.durability = durability;
  if (onCommit !== undefined) given.onCommit = (version) => callBack(onCommit, version);
  return given;
}

/** Tells the caller's listener of a commit. Its error can't undo the commit, and becomes an uncaught error. */
function callBack(onCommit: (version: string) => void, version: string): void {
  try {
    onCommit(version);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
