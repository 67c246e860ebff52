/** Exports and imports: a database as a stream of bytes, and back. */
import type * as contract from "../../types/offshoot.js";
import { isBytes, isDetached } from "../codec/kinds.js";
import type { CoreExport } from "../core.js";
import { OffshootError, aborted, unlessAborted } from "../errors.js";
import { free } from "../instance.js";
import { callable, checkOptions, flag, shown, signal } from "./check.js";
import { Listener } from "./progress.js";
import type { Session } from "./session.js";

const EXPORT = { signal, onProgress: callable, salvage: flag };
const IMPORT = { signal, onProgress: callable, replace: flag };
/** The most bytes that are passed to the core in one call, however large the caller's pieces are. */
const PIECE_BYTES = 256 * 1024;

/** Reads nothing before it is asked to, but for the point that it exports, which is this moment's. */
export function exportFrom(session: Session, options: contract.ExportOptions = {}): ReadableStream<Uint8Array> {
  checkOptions(options, EXPORT, "export");
  session.check();
  return new ReadableStream<Uint8Array>(new ExportSource(session, options), { highWaterMark: 0 });
}

class ExportSource implements UnderlyingDefaultSource<Uint8Array> {
  readonly #session: Session;
  readonly #options: contract.ExportOptions;
  readonly #listener: Listener;
  #fixed: Session | undefined;
  #core: CoreExport | undefined;
  #bytesDone = 0;
  #isOver = false;
  #heed: (() => void) | undefined;

  constructor(session: Session, options: contract.ExportOptions) {
    this.#session = session;
    this.#options = options;
    this.#listener = new Listener(options.onProgress);
  }

  async start(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const { signal, salvage = false } = this.#options;
    if (signal?.aborted === true) throw aborted(signal);
    this.#heed = () => {
      controller.error(aborted(signal!));
      this.#end();
    };
    signal?.addEventListener("abort", this.#heed, { once: true });
    try {
      const fixed = await this.#session.fixed();
      this.#fixed = fixed;
      // It was ended while the point was being fixed.
      if (this.#isOver) this.#end();
      else this.#core = fixed.call(() => fixed.scope.export_rows(salvage));
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const core = this.#core;
    if (core === undefined || this.#fixed === undefined) return;
    try {
      this.#listener.check();
      const bytes = await this.#fixed.callAsync(() => core.next());
      if (this.#isOver) return;
      if (bytes === undefined) {
        await this.#listener.settled();
        if (this.#isOver) return;
        this.#end();
        controller.close();
        return;
      }
      this.#bytesDone += bytes.length;
      controller.enqueue(bytes);
      this.#tell(core);
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  cancel(): void {
    this.#end();
  }

  #tell(core: CoreExport): void {
    const skipped = core.skipped();
    const progress = { rowsDone: core.rows(), bytesDone: this.#bytesDone };
    this.#listener.tell(skipped === undefined ? progress : { ...progress, skipped });
    this.#listener.check();
  }

  /** Gives back what it holds. */
  #end(): void {
    this.#isOver = true;
    if (this.#heed !== undefined) this.#options.signal?.removeEventListener("abort", this.#heed);
    if (this.#fixed !== undefined) this.#session.release(this.#fixed);
    this.#fixed = undefined;
    free(this.#core);
    this.#core = undefined;
  }
}

export async function importInto(
  session: Session,
  source: ReadableStream<Uint8Array> | Uint8Array,
  options: contract.ImportOptions = {},
): Promise<contract.Imported> {
  checkOptions(options, IMPORT, "import");
  const { signal, onProgress, replace = false } = options;
  const pieces = new Pieces(source);
  const listener = new Listener(onProgress);
  let bytesDone = 0;
  // An error of the caller's own stream or function is thrown on unchanged.
  let failure: { thrown: unknown } | undefined;
  const pull = async (rowsDone: number): Promise<Uint8Array | undefined> => {
    try {
      if (bytesDone > 0) listener.tell({ rowsDone, bytesDone });
      listener.check();
      const piece = await session.unlessEnded(() => unlessAborted(signal, () => pieces.next()));
      bytesDone += piece?.length ?? 0;
      return piece;
    } catch (thrown) {
      failure = { thrown };
      throw thrown;
    }
  };
  try {
    if (signal?.aborted === true) throw aborted(signal);
    const [documents, entries, skipped] = await session.callAsync(() => session.scope.import_rows(pull, replace));
    return skipped === undefined ? { documents, entries } : { documents, entries, skipped };
  } catch (error) {
    const thrown = failure === undefined ? error : failure.thrown;
    pieces.cancel(thrown);
    throw thrown;
  } finally {
    pieces.release();
  }
}

/** A source's bytes, in pieces that are not too large. */
class Pieces {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #rest: Uint8Array | undefined;

  constructor(source: unknown) {
    if (isWhole(source)) {
      this.#rest = source;
      return;
    }
    const stream = source as ReadableStream<Uint8Array> | null;
    if (typeof stream !== "object" || stream === null || typeof stream.getReader !== "function") {
      throw invalidSource("the source of import must be a ReadableStream or a Uint8Array", source);
    }
    if (stream.locked) throw invalidSource("the source of import is read by somebody else", source);
    this.#reader = stream.getReader();
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.#rest === undefined || this.#rest.length === 0) {
      if (this.#reader === undefined) return undefined;
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      if (!isWhole(value)) throw invalidSource("the source of import must give Uint8Arrays", value);
      this.#rest = value;
    }
    const piece = this.#rest.subarray(0, PIECE_BYTES);
    this.#rest = this.#rest.subarray(PIECE_BYTES);
    return piece;
  }

  /** Tells the source that nobody reads on. If the source fails at that, the error is ignored. */
  cancel(reason: unknown): void {
    this.#reader?.cancel(reason).catch(() => undefined);
  }

  release(): void {
    this.#reader?.releaseLock();
  }
}

function isWhole(value: unknown): value is Uint8Array {
  return typeof value === "object" && value !== null && isBytes(value) && !isDetached(value);
}

function invalidSource(problem: string, value: unknown): OffshootError<"INVALID_OPTION"> {
  return new OffshootError("INVALID_OPTION", `${problem}. value=${shown(value)}`, { option: "source" });
}
