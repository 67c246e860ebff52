/** The options of `open`: checking, comparing with those of a store that is open, handing to the core. */
import type { OpenOptions, StorageBackend } from "../../types/offshoot.js";
import type { CoreOpenOptions } from "../core.js";
import { type Kind, callable, checkOptions, flag, invalidOption, oneOf, signal, text } from "./check.js";
import { duration, milliseconds } from "./duration.js";

const DEFAULT_CACHE_BYTES = 32 * 1024 * 1024;
const CONTRACT_METHODS = ["read", "list", "names", "log", "write", "close"] as const;
/** The least `recordBytes` of a backend; the core says the same. */
const RECORD_BYTES = 60_000;

const builtIn = oneOf("indexeddb", "memory");
export const storage: Kind = {
  is: (value) => builtIn.is(value) || (typeof value === "object" && value !== null),
  words: '"indexeddb", "memory" or a StorageBackend of contract 2',
};
const bytes: Kind = {
  is: (value) => Number.isSafeInteger(value) && (value as number) > 0,
  words: "a number of bytes",
};
const OPEN: Readonly<Record<string, Kind>> = {
  database: text,
  storage,
  durability: oneOf("relaxed", "strict"),
  history: { is: (value) => typeof value === "object" && value !== null, words: "an object" },
  cacheBytes: bytes,
  repair: flag,
  wasm: {
    is: (value) => typeof value === "string" || (typeof value === "object" && value !== null),
    words: "a URL, bytes or a WebAssembly.Module",
  },
  now: callable,
  signal,
};

/** Says which part of a backend does not keep the contract, before anything is asked of it. */
function checkBackend(backend: Partial<StorageBackend>): void {
  const { contract, recordBytes, lock } = backend;
  if (contract !== 2) throw invalidOption("storage", "must be a StorageBackend that keeps contract 2", contract);
  if (!Number.isSafeInteger(recordBytes) || recordBytes! < RECORD_BYTES) {
    const problem = `must be a StorageBackend with recordBytes of at least ${RECORD_BYTES}`;
    throw invalidOption("storage", problem, recordBytes);
  }
  const missing = CONTRACT_METHODS.find((name) => typeof backend[name] !== "function");
  if (missing !== undefined) {
    throw invalidOption("storage", "must be a StorageBackend with all its methods, and one is missing", missing);
  }
  if (lock !== undefined && typeof lock !== "function") {
    throw invalidOption("storage", "must be a StorageBackend whose lock is a method, or not there", lock);
  }
}

function checkStorage(options: unknown): void {
  const where = (options as OpenOptions | undefined)?.storage;
  if (typeof where === "object" && where !== null) checkBackend(where);
}

export function checkOpenOptions(options: unknown): asserts options is OpenOptions | undefined {
  checkOptions(options, OPEN, "open");
  checkStorage(options);
  const history = (options as OpenOptions | undefined)?.history;
  if (history === undefined) return;
  checkOptions(history, { retain: duration }, "open, in history,");
  if (history.retain === undefined) throw invalidOption("history", "of open must say how long to retain", history);
}

export function checkDestroyOptions(options: unknown): void {
  checkOptions(options, { storage }, "destroy");
  checkStorage(options);
}

/** Where a store lies, in the core's words. */
export function coreStorage(where: OpenOptions["storage"]): Pick<CoreOpenOptions, "storage" | "backend"> {
  if (where === undefined) return {};
  return typeof where === "string" ? { storage: where } : { backend: where };
}

export function coreOptions(options: OpenOptions): CoreOpenOptions {
  const { durability, history, cacheBytes, repair, now } = options;
  const given: CoreOpenOptions = coreStorage(options.storage);
  if (durability !== undefined) given.durability = durability;
  if (history !== undefined) given.retain = milliseconds(history.retain)!;
  if (cacheBytes !== undefined) given.cacheBytes = cacheBytes;
  if (repair !== undefined) given.repair = repair;
  if (now !== undefined) given.now = now;
  return given;
}

/**
 * Refuses options that contradict those under which the store is open. An option that is left out contradicts nothing.
 * An option that the first open left out counts as its default. `wasm` and `repair` matter to the first open only.
 */
export function checkAgreement(first: OpenOptions, mode: "indexeddb" | "memory" | "custom", second: OpenOptions): void {
  const { storage: where, durability, cacheBytes, history, now } = second;
  const lies = mode === "custom" ? first.storage : mode;
  if (where !== undefined && where !== lies) throw contradiction("storage", where);
  if (durability !== undefined && durability !== (first.durability ?? "relaxed")) {
    throw contradiction("durability", durability);
  }
  if (cacheBytes !== undefined && cacheBytes !== (first.cacheBytes ?? DEFAULT_CACHE_BYTES)) {
    throw contradiction("cacheBytes", cacheBytes);
  }
  if (now !== undefined && now !== first.now) throw contradiction("now", now);
  // If the first open gave no `retain`, the store keeps its stored setting, which is not known here: so a second open
  // that gives one is refused.
  const retain = milliseconds(history?.retain);
  if (retain !== undefined && retain !== milliseconds(first.history?.retain)) throw contradiction("history", history);
}

function contradiction(name: string, value: unknown): Error {
  return invalidOption(name, "contradicts that of the first open, which goes on", value);
}
