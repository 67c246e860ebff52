/** Long work of the core: it tells how far it is, and a signal ends it. */
import type { Progress } from "../../types/offshoot.js";
import type { CoreWatch } from "../core.js";
import { OffshootError, aborted } from "../errors.js";
import { callable, checkOptions, signal as abortSignal } from "./check.js";
import type { Session } from "./session.js";

export const PROGRESS = { signal: abortSignal, onProgress: callable };

/** Runs `work`. A signal ends it with ABORTED; what the listener throws ends it too, and comes out unchanged. */
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
  let failure: { error: unknown } | undefined;
  const watch: CoreWatch = (progress) => {
    try {
      onProgress?.(progress);
    } catch (error) {
      failure = { error };
      return false;
    }
    return !isAborted();
  };
  try {
    return await work(watch);
  } catch (error) {
    if (failure !== undefined) throw failure.error;
    const told = session.instance.error(error);
    throw isAborted() && OffshootError.is(told, "ABORTED") ? aborted(signal!) : told;
  }
}
