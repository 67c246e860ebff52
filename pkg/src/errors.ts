/**
 * The one error type of the package. A code says what a caller can do; the message is for people.
 * The core throws a plain object of the same shape, which becomes an OffshootError here, at the boundary.
 */
import type { ErrorCode, ErrorDetails, OffshootError as Contract } from "../types/offshoot.js";

/** The details that an error is made with. Without an `outcome` it is "none": nothing was done. */
type Given<C extends ErrorCode> = Omit<ErrorDetails<C>, "outcome"> & { outcome?: ErrorDetails<C>["outcome"] };

const BRAND = Symbol.for("offshoot.error");

export class OffshootError<C extends ErrorCode = ErrorCode> extends Error implements Contract<C> {
  readonly code: C;
  readonly details: ErrorDetails<C>;
  readonly retryable: boolean;

  constructor(code: C, message: string, details?: Given<C>, options?: { retryable?: boolean; cause?: unknown }) {
    super(message, options !== undefined && "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    const outcome = details?.outcome ?? "none";
    this.details = { ...details, outcome } as ErrorDetails<C>;
    // To do again what may have been done could do it twice.
    this.retryable = options?.retryable === true && outcome === "none";
  }

  toJSON(): { name: string; code: C; message: string; details: ErrorDetails<C>; retryable: boolean } {
    const { name, code, message, details, retryable } = this;
    return { name, code, message, details, retryable };
  }

  /** The error that `toJSON` gave; undefined: that is none. One that does not tell an outcome has an unknown one. */
  static from(json: unknown): OffshootError | undefined {
    if (json instanceof OffshootError) return json;
    if (typeof json !== "object" || json === null) return undefined;
    const { name, code, message, details, retryable } = json as Partial<ReturnType<OffshootError["toJSON"]>>;
    if (name !== "OffshootError" || typeof code !== "string" || typeof message !== "string") return undefined;
    const told = typeof details === "object" && details !== null ? details : undefined;
    const outcome = told?.outcome === "none" ? "none" : "unknown";
    return new OffshootError(code, message, { ...told, outcome }, { retryable: retryable === true });
  }

  /** Works across realms and copies of the package, where instanceof does not: the brand is a registered symbol. */
  static is<C extends ErrorCode = ErrorCode>(error: unknown, ...codes: C[]): error is OffshootError<C> {
    if (typeof error !== "object" || error === null || (error as Record<symbol, unknown>)[BRAND] !== true) return false;
    return codes.length === 0 || codes.includes((error as OffshootError<C>).code);
  }
}
Object.defineProperty(OffshootError.prototype, BRAND, { value: true });
// On the prototype, so that a stack trace starts with the name and the error has no field more than its contract.
Object.defineProperty(OffshootError.prototype, "name", { value: "OffshootError", writable: true, configurable: true });

/** The plain object that the core throws. */
interface CoreError {
  code: ErrorCode;
  message: string;
  details?: object;
  retryable?: boolean;
  cause?: unknown;
}

function isCoreError(thrown: unknown): thrown is CoreError {
  if (typeof thrown !== "object" || thrown === null || thrown instanceof Error) return false;
  return typeof (thrown as CoreError).code === "string" && typeof (thrown as CoreError).message === "string";
}

/** Turns what came out of the core into an OffshootError; `lastPanic` is what the core's panic hook recorded. */
export function fromCore(thrown: unknown, lastPanic: () => string | undefined): OffshootError {
  if (OffshootError.is(thrown)) return thrown;
  if (isCoreError(thrown)) {
    const details = (thrown.details ?? {}) as Given<ErrorCode>;
    const cause = "cause" in thrown ? { cause: thrown.cause } : {};
    return new OffshootError(thrown.code, thrown.message, details, { retryable: thrown.retryable === true, ...cause });
  }
  const panic = lastPanic();
  const told = thrown instanceof Error ? thrown.message : String(thrown);
  const message = panic === undefined ? `the core failed. error="${told}"` : `the core stopped. panic="${panic}"`;
  return new OffshootError("INTERNAL", message, { outcome: "unknown" }, { cause: thrown });
}

/** The error of a call whose signal was aborted; `cause` is the signal's reason. */
export function aborted(signal: AbortSignal): OffshootError<"ABORTED"> {
  return new OffshootError("ABORTED", "the call was aborted by its signal", {}, { cause: signal.reason });
}

/** Starts `work` and settles like it, unless the signal is aborted first. The work itself then goes on, unheard. */
export async function unlessAborted<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  if (signal === undefined) return work();
  if (signal.aborted) throw aborted(signal);
  let stop: () => void;
  const abort = new Promise<never>((_, reject) => {
    stop = () => reject(aborted(signal));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([work(), abort]);
  } finally {
    signal.removeEventListener("abort", stop!);
  }
}
