/**
 * The exports of the wasm core as TypeScript sees them: declarations only. The code is generated from the Rust sources.
 * Documents, keys and ops cross as MessagePack bytes; errors are thrown as plain objects (see errors.ts).
 */
import type { Durability, Stats, StorageBackend } from "../types/offshoot.js";

export interface CoreModule {
  version(): string;
  /** Where the last synchronous `get` that found a document left it; valid until the next call into the core. */
  result_ptr(): number;
  result_len(): number;
  /** The message of a panic, recorded by the panic hook. After a panic the instance is dead. */
  last_panic(): string | undefined;
  readonly Store: CoreStoreClass;
}

export interface CoreStoreClass {
  open(name: string, options: CoreOpenOptions): Promise<CoreStore>;
  destroy(name: string, options: Pick<CoreOpenOptions, "storage" | "backend">): Promise<void>;
}

/** One of `storage` and `backend` is given: where nobody said anything, TypeScript has chosen (store.ts). */
export interface CoreOpenOptions {
  storage?: "indexeddb" | "memory";
  backend?: StorageBackend;
  durability?: Durability;
  /** Milliseconds, Infinity allowed; undefined: the store keeps its setting. */
  retain?: number;
  cacheBytes?: number;
  repair?: boolean;
  now?: () => number;
}

export interface CoreStore {
  storage_mode(): "indexeddb" | "memory" | "custom";
  database(name: string): Promise<CoreScope>;
  databases(sizes: boolean): Promise<object[]>;
  stats(): Promise<Stats>;
  compact(): Promise<void>;
  close(): Promise<void>;
  /** Gives back what the core holds for this object, which is of no more use. */
  free(): void;
}

export interface CoreTransactionOptions {
  isolation?: "serializable" | "snapshot";
  retries?: number;
  durability?: Durability;
  onCommit?: (version: string) => void;
}

export interface CoreCloneOptions {
  at?: string | number;
  existing?: "fail" | "open";
  /** Milliseconds, Infinity allowed. */
  ttl?: number;
  /** To be materialized by and by. */
  background?: boolean;
}

/** The core's question and the caller's answer, both as MessagePack (see merging.ts). */
export type CoreQuestion = (question: Uint8Array) => Promise<Uint8Array>;

export interface CoreMergeOptions {
  policy?: Uint8Array | CoreQuestion;
  only?: CoreQuestion;
  at?: string | number;
  to?: string | number;
  dryRun?: boolean;
  isAborted?: () => boolean;
}

/** Called with how far long work is; false ends it with ABORTED. */
export type CoreWatch = (progress: { rowsDone: number; rowsTotal?: number; bytesDone: number }) => boolean;

/** One export under way. */
export interface CoreExport {
  /** Undefined: that was all. One call at a time. */
  next(): Promise<Uint8Array | undefined>;
  rows(): number;
  /** The number of places that a salvage could not read so far; undefined for other exports. */
  skipped(): number | undefined;
  free(): void;
}

/** Given the number of rows so far, gives the next bytes of an import; undefined: that was all. */
export type CorePull = (rowsDone: number) => Promise<Uint8Array | undefined>;

/** MessagePack: where the next page begins, or nil, and the changes (see diff.ts). */
type DiffPage = Promise<Uint8Array>;

/** Something that reads: a database as it is now, a snapshot, or a transaction. */
export interface CoreScope {
  version(): string;
  name(): string;
  /** -1: it needs storage, ask again with run_async; 0: absent; 1: found, at result_ptr() and result_len(). */
  get(collection: string, id: string): number;
  /** Undefined: it needs storage or a commit, ask again with run_async and the same bytes. */
  run(op: Uint8Array): Uint8Array | undefined;
  run_async(op: Uint8Array, durability?: Durability): Promise<Uint8Array>;
  /** A promise where the path must be read from storage first. */
  snapshot(): CoreScope | Promise<CoreScope>;
  at(when: string | number): Promise<CoreScope>;
  predates_clone(): boolean;
  transaction(body: (tx: CoreScope) => Promise<unknown>, options: CoreTransactionOptions): Promise<unknown>;
  create_clone(name: string | undefined, options: CoreCloneOptions): Promise<string>;
  lineage(): Promise<object[]>;
  status(): Promise<object>;
  collections(): Promise<object[]>;
  drop_database(): Promise<void>;
  merge(options: CoreMergeOptions): Promise<Uint8Array>;
  rebase(options: CoreMergeOptions): Promise<Uint8Array>;
  reset(only: CoreQuestion | undefined): Promise<void>;
  revert(commits: string[], options: CoreMergeOptions): Promise<Uint8Array>;
  restore(when: string | number, keepAs: string | undefined): Promise<void>;
  materialize(watch: CoreWatch): Promise<object>;
  /** Materializes the clones of this database first. */
  drop_by_force(watch: CoreWatch): Promise<void>;
  /** On a snapshot: one page of what it has that the snapshot `against` has not. */
  diff_page(against: CoreScope, collection: string | undefined, after: Uint8Array | undefined, limit: number): DiffPage;
  /** On a snapshot: one page of what it has that its origin, where the clone began, has not. */
  diff_origin_page(collection: string | undefined, after: Uint8Array | undefined, limit: number): DiffPage;
  /** On a snapshot: its export. */
  export_rows(salvage: boolean): CoreExport;
  /** The numbers of documents, of entries and, of a salvage, of places that could not be read. */
  import_rows(pull: CorePull, replace: boolean): Promise<[number, number, number?]>;
  /** Calls back once, when the handle closes for a reason that is not its user's. */
  on_close(callback: (error: object | undefined) => void): void;
  /** As `close`, by the user of a database's handle: a temporary one goes with its last handle. */
  leave(): Promise<void>;
  close(): Promise<void>;
  free(): void;
}
