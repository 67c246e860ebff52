/// <reference lib="esnext.disposable" />
/**
 * The public surface of the npm package `offshoot`: the contract that the sources in `pkg/src` are checked against.
 * Names and meanings here are fixed; adding to them is welcome, renaming is not. Behaviour: tests/SEMANTICS.md.
 * Every promise rejects with an OffshootError, or with what the caller's own function threw (a transaction's body).
 * A call that returns no promise throws at once, with the same errors.
 */

// ── Opening ──────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Opens store `name`, creating it on first use, and returns its root database `main`, or `options.database`, which must
 * exist. A second open in one realm shares the engine and its options; one that contradicts them fails with INVALID_OPTION.
 */
export function open<S extends SchemaOf<S> = any>(name: string, options?: OpenOptions): Promise<Database<S>>;
/** Deletes a store with everything in it, unsent writes too. Open handles, in other tabs too, close with code `CLOSED`. */
export function destroy(name: string, options?: Pick<OpenOptions, "storage">): Promise<void>;
/** The version of this package's core. */
export function version(): Promise<string>;

/** Collection name -> document type or KV<value type>; an interface or a type. One name is one kind (WRONG_KIND). */
export type SchemaOf<S> = { [N in keyof S]: Doc };
declare const kvValue: unique symbol;
declare const schema: unique symbol;
/** Any document, and no KV collection. */
type NoKv = { readonly id?: unknown; readonly [kvValue]?: never };
/** Marks a KV collection in a schema: `{ todos: Todo; settings: KV<Setting> }`. */
export interface KV<V> { readonly [kvValue]: V }
export type DocNames<S> = string extends keyof S ? string : { [N in keyof S & string]: S[N] extends KV<any> ? never : N }[keyof S & string];
export type KvNames<S> = string extends keyof S ? string : { [N in keyof S & string]: S[N] extends KV<any> ? N : never }[keyof S & string];
export type KvOf<S, N> = string extends keyof S ? any : N extends keyof S ? S[N] extends KV<infer V> ? V : any : any;

export interface OpenOptions {
  database?: string;                                   // default "main"; another must exist (DATABASE_NOT_FOUND)
  /**
   * Default: IndexedDB where it exists, else memory, with one warning on the console; `db.storageMode` tells which, and never
   * changes. An IndexedDB that exists and fails is STORAGE_UNAVAILABLE, never memory; one that does not answer for 20 s is
   * TIMEOUT (`signal` ends the wait sooner). A memory store lives while a handle is open.
   */
  storage?: "indexeddb" | "memory" | StorageBackend;
  durability?: Durability;                             // default "relaxed"
  history?: { retain: Duration };                      // how far back at() reaches beyond what clones pin; the store keeps it; default "1h"
  cacheBytes?: number;                                 // block cache budget, default 32 MiB
  repair?: boolean;                                    // open a damaged or wiped store all the same, with what is left
  wasm?: string | object;                              // URL, bytes or WebAssembly.Module, when it can't be found by itself; the realm's first open decides
  /**
   * For tests: the clock of ttl, retain and at(Date), trusted whatever it says. It is read before each call and each step of
   * one, and may call the database. Fake timers and a fake Date change nothing here: the package has the host's own.
   */
  now?: () => number;
  signal?: AbortSignal;
}
export type Durability = "relaxed" | "strict";         // what a resolved write survives: the tab's death | power loss
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;   // a number is milliseconds; Infinity: for ever
/** Names a point of a store's history: opaque, comparable as text, valid in the store that gave it. Not a date. */
export type Version = string;
export type When = Version | Date;

// ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What can be stored. Anything else (function, symbol, cyclic, class instance) fails with INVALID_VALUE and its path. In an
 * object `undefined` is an absent field: inserts leave it out, a plain update removes it. Fields that a symbol names, and
 * named properties of an array, are left out, as JSON leaves them out. Text must be well-formed: half of a surrogate pair,
 * which IndexedDB takes, is INVALID_VALUE (`text.toWellFormed()` mends it). At most 64 deep and 16 MiB (TOO_LARGE). A field name with a dot is stored, but no path reaches it.
 */
export type Value = null | boolean | number | bigint | string | Date | Uint8Array | Value[] | { [field: string]: Value };
export type Doc = { id?: string } & object;
export type Stored<T> = T & { id: string };                                                    // as read
export type New<T> = T extends unknown ? { [K in keyof T as K extends "id" ? never : K]: T[K] } & { id?: string } : never;   // as written
export type KeyPart = string | number | Uint8Array;
export type Key = KeyPart | readonly KeyPart[];        // KV keys; ordered by type, then value; arrays piecewise

// ── Databases ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Database<S extends SchemaOf<S> = any> extends AsyncDisposable {
  readonly name: string;
  readonly store: string;
  readonly storageMode: "indexeddb" | "memory" | "custom";
  readonly version: Version;                           // the newest that this handle knows
  readonly closed: Promise<OffshootError | undefined>; // resolves when the handle closes: by close(), or why
  collection<N extends DocNames<S>>(name: N): Collection<S[N]>;
  /** The same in code that is generic over a document's type, `Database<{ things: T }>`, where DocNames stays open. */
  collection<N extends keyof S & string>(this: { readonly [schema]?: { [K in N]: NoKv } }, name: N): Collection<S[N]>;
  /** Never there: it tells types what the schema is. */
  readonly [schema]?: S;
  kv(): KeyValue<KvOf<S, "kv">>;
  kv<N extends KvNames<S>>(name: N): KeyValue<KvOf<S, N>>;
  /**
   * Serializable by default. Reads come from one snapshot plus the transaction's own writes; anything may be awaited
   * inside, fetch included. At a conflict the body runs again, `retries` times (default 8), then CONFLICT. What the body
   * throws undoes it and comes out unchanged. `db` itself is outside of the transaction: use `tx`. A call on `tx` that is
   * under way when the body ends is waited for; if it fails, so does the transaction, and so it does if a write failed that
   * nobody listened to: a forgotten `await` loses nothing in silence.
   */
  transaction<R>(body: (tx: Transaction<S>) => R | Promise<R>, options?: TransactionOptions): Promise<R>;
  /** The database as it was. Close it: an open snapshot keeps its history. */
  at(when: When): Promise<Snapshot<S>>;
  /** Names of the collections and KV collections here, with kinds and indexes. */
  collections(): Promise<CollectionInfo[]>;

  // clones
  database(name: string): Promise<Database<S>>;        // another database of this store; DATABASE_NOT_FOUND
  databases(options?: { sizes?: boolean }): Promise<DatabaseInfo[]>;   // ownBytes only where asked for: it costs a walk
  /**
   * Without a name: a temporary clone, dropped when its last handle closes (once nothing depends on it), or at the next
   * open; where the host has no locks to tell a crash from another tab's, a day later. "background": it is materialized by
   * and by, while nothing else is to be done.
   */
  clone(name?: string, options?: CloneOptions & { materialize?: "never" | "background" }): Promise<Database<S>>;
  lineage(): Promise<LineageEntry[]>;
  status(): Promise<CloneStatus>;
  /**
   * Copies what is missing and cuts the link: after it diff fails with NOT_A_CLONE. It may be aborted (ABORTED) or cut
   * short by a crash: the next call goes on from there. Of a database that is no clone it only tells the status.
   */
  materialize(options?: Progress): Promise<CloneStatus>;
  diff(options?: DiffOptions<S>): Changes<S>;
  /** Into the origin, in one commit. A merged change is no change of the clone's any more: diff() shows the rest. */
  merge(options?: MergeOptions<S>): Promise<MergeReport>;
  /** Onto the origin's present, or a later point of it, under the clone's own changes, which the report counts. */
  rebase(options?: Omit<MergeOptions<S>, "only" | "at"> & { to?: When }): Promise<MergeReport>;
  reset(options?: { only?: Selection<S> }): Promise<void>;     // forget this clone's own changes
  /**
   * Undoes commits (see onCommit) and keeps what came later, by three-way merge; its own version can be reverted: redo.
   * In its conflicts `base` is what the commit left, `clone` the present, `origin` what was there before the commit.
   * Where nothing is left to undo the outcome is "nothing"; but what a commit added to a number is taken off each time.
   */
  revert(commits: Version | readonly Version[], options?: Pick<MergeOptions<S>, "onConflict" | "dryRun">): Promise<MergeReport>;
  /** Makes the present equal a past, in one commit; `keepAs` clones the present first. */
  restore(when: When, options?: { keepAs?: string; evenIfSynced?: boolean }): Promise<void>;
  /** CLONE_DEPENDENCY if it has clones; with `force` they are materialized first, and all of it happens or nothing. */
  drop(options?: { force?: boolean }): Promise<void>;

  /**
   * This database as it is now, with all that a clone reads of its origin, as a stream of bytes in a documented format
   * (src/engine/transfer/format.rs). It is read as it is pulled, and holds its history until it has ended or is cancelled.
   */
  export(options?: ExportOptions): ReadableStream<Uint8Array>;
  /**
   * Adds to what is here, in one commit, all or nothing; an id or key that is taken fails with KEY_EXISTS unless
   * `replace`. An export that is cut off or damaged fails with INVALID_IMPORT, which says where; one that a newer version
   * made may fail with FORMAT_TOO_NEW. A failure leaves nothing, and cancels the source.
   */
  import(source: ReadableStream<Uint8Array> | Uint8Array, options?: ImportOptions): Promise<Imported>;
  stats(): Promise<Stats>;
  /** Gives back now what nobody can read any more; by and by that happens without a call. Of the whole store. */
  compact(): Promise<void>;
  close(): Promise<void>;                                       // this handle only; `await using` does it too
}
/** Ends with its body: any later call, and the next row of any iteration, fails with CLOSED. */
export interface Transaction<S extends SchemaOf<S> = any> {
  readonly version: Version;                           // what it reads
  collection<N extends DocNames<S>>(name: N): WritableCollection<S[N]>;
  kv(): KeyValue<KvOf<S, "kv">>;
  kv<N extends KvNames<S>>(name: N): KeyValue<KvOf<S, N>>;
}
export interface TransactionOptions {
  isolation?: "serializable" | "snapshot";
  retries?: number;
  durability?: Durability;                             // default: the store's
  onCommit?: (version: Version) => void;               // once, and only if something was written; what it throws is an uncaught error
  signal?: AbortSignal;                                // heeded until the body has ended; a commit under way is not torn
}
export interface Snapshot<S extends SchemaOf<S> = any> extends AsyncDisposable {
  readonly version: Version;
  readonly predatesClone: boolean;
  collection<N extends DocNames<S>>(name: N): ReadonlyCollection<S[N]>;
  kv(): ReadonlyKeyValue<KvOf<S, "kv">>;
  kv<N extends KvNames<S>>(name: N): ReadonlyKeyValue<KvOf<S, N>>;
  export(options?: ExportOptions): ReadableStream<Uint8Array>;  // the database as it was
  close(): Promise<void>;
}
/** `skipped`, of a salvage: places that could not be read so far. An error of `onProgress` ends the work, and is thrown. */
export interface Progress { signal?: AbortSignal; onProgress?: (p: { rowsDone: number; rowsTotal?: number; bytesDone: number; skipped?: number }) => void }
/**
 * `salvage`: of a damaged store (opened with `repair` where it does not open), go around what cannot be read. There, rows
 * may be missing, or be older than they were, deleted ones too; the end of the export says where.
 */
export interface ExportOptions extends Progress { salvage?: boolean }
export interface ImportOptions extends Progress { replace?: boolean }
/** `skipped`: the export was a salvage, and so many places could not be read. */
export interface Imported { documents: number; entries: number; skipped?: number }
/**
 * `ttl`: the clone is dropped by the first opening or compaction after that, if nothing depends on it. Clocks may be wrong:
 * what counts is time in which the store was open, or that the clocks of two openings agree on.
 * `existing`: default "fail", DATABASE_EXISTS; "open" opens a clone of this database that is there, as it is, materialized or not.
 */
export interface CloneOptions { at?: When; ttl?: Duration; existing?: "fail" | "open" }

export type CloneStatus =
  | { state: "root" | "shadowed" | "materialized" }
  | { state: "materializing"; rowsDone: number; rowsTotal: number; bytesDone: number };
export interface LineageEntry { name: string; asOf?: Version; createdAt: Date; createdVersion: Version; status: CloneStatus; remote?: string }
export interface DatabaseInfo { name: string; origin?: string; asOf?: Version; createdAt: Date; expiresAt?: Date; status: CloneStatus; dependents: string[]; ownBytes?: number }
export interface CollectionInfo { name: string; kind: "documents" | "kv"; indexes: IndexInfo[] }
export interface IndexInfo { name: string; fields: string[]; unique: boolean; state: "building" | "ready" }

export interface DiffOptions<S> {
  collection?: keyof S & string;
  at?: When;                                           // this database then; default: now
  /** Default: the origin where the clone began. A When: this database then. Or another database or snapshot of the store. */
  against?: When | Database<any> | Snapshot<any>;
  signal?: AbortSignal;
}
export interface Changes<S> extends AsyncIterable<Change<S>> { toArray(): Promise<Change<S>[]> }
export type Change<S = any> =
  | { [N in DocNames<S>]: { kind: "documents"; collection: N; key: string } & Edit<Stored<S extends Record<N, infer T> ? T : any>> }[DocNames<S>]
  | { [N in KvNames<S>]: { kind: "kv"; collection: N; key: Key } & Edit<KvOf<S, N>> }[KvNames<S>];
export type Edit<R> = { op: "insert"; after: R } | { op: "update"; before: R; after: R; fields: string[] } | { op: "delete"; before: R };

/** Which changes: true is all of it, an array those fields of an update, as its `fields` name them; others are passed over. */
export type Selection<S> = (change: Change<S>) => boolean | string[] | Promise<boolean | string[]>;

/**
 * An absent side is undefined. row: deleted against changed. unique: `key` of the clone and `otherKey` of the origin clash; only a function settles it.
 * Two objects that both sides put where there was none merge by their fields, as documents do: two variants of a type can
 * become one object that is neither. A field that all variants set, such as `kind`, makes that a conflict.
 */
export interface Conflict {
  reason: "field" | "row" | "unique"; collection: string; kind: "documents" | "kv"; key: Key;
  field?: string; index?: string; otherKey?: string; base?: unknown; clone?: unknown; origin?: unknown;
}
/** The side that wins, in merge, rebase and sync alike; or a value (undefined: absent); "fail" leaves it a conflict. */
export type Resolution = "fail" | "clone" | "origin" | { value: unknown };
export type ConflictPolicy = Resolution | ((c: Conflict) => Resolution | Promise<Resolution>);
export interface MergeOptions<S = any> {
  onConflict?: ConflictPolicy;                         // default "fail": MERGE_CONFLICT, nothing written
  only?: Selection<S>;
  at?: When;                                           // the clone as it was: merge what was reviewed
  dryRun?: boolean;                                    // the same report, nothing written
  signal?: AbortSignal;
}
/**
 * `conflicts`: those that the policy settled; in a dry run, behind them those that it did not. `version`: the commit that did
 * it; where nothing was written, the store's last one before, which is no commit to revert.
 */
export interface MergeReport { outcome: "merged" | "nothing" | "conflict"; inserted: number; updated: number; deleted: number; conflicts: Conflict[]; version: Version }

// ── Documents ────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ReadonlyCollection<T = any> {
  get(id: string): Promise<Stored<T> | undefined>;
  getMany(ids: readonly string[]): Promise<(Stored<T> | undefined)[]>;      // in the order of `ids`
  find(): Query<T>;                                     // all of them, by id
  count(): Promise<number>;
}
export interface WritableCollection<T = any> extends ReadonlyCollection<T> {
  insert(doc: New<T>): Promise<string>;                 // the id, a UUIDv7 when the document has none; KEY_EXISTS if taken
  insertMany(docs: readonly New<T>[]): Promise<string[]>;       // one commit
  put(doc: New<T>): Promise<string>;                    // insert or replace
  putMany(docs: readonly New<T>[]): Promise<string[]>;      // no id twice in one call (KEY_EXISTS), as in insertMany
  update(id: string, change: Update<T>): Promise<boolean>;          // false: there is no such document
  delete(id: string): Promise<boolean>;
  deleteMany(which: readonly string[]): Promise<number>;            // how many there were; one commit
}
export interface Collection<T = any> extends WritableCollection<T> {}

export type Fields<T> = T extends unknown ? keyof T & string : never;
export type FieldOf<T, K> = T extends unknown ? K extends keyof T ? T[K] : never : never;
export type Path<T> = Fields<Stored<T>> | `${Fields<T>}.${string}`;         // checked to the first dot
type Dotted<T, V> = { [P in `${Fields<T>}.${string}`]?: V };
/** Of MongoDB's update language: $set $unset $inc, dotted paths; a plain object means $set. */
export type Update<T> = Assign<T> | UpdateOperators<T>;
export type Assign<T> = Partial<T> & { id?: never } & Dotted<T, any>;
type Amount<T> = { [K in keyof T]?: NonNullable<T[K]> extends number | bigint ? number | bigint : never } & Dotted<T, number | bigint>;
export interface UpdateOperators<T> {
  $set?: Assign<T>; $unset?: { [P in Exclude<Path<T>, "id">]?: true | 1 | "" };
  $inc?: Amount<T>;
}

/** Immutable: each call gives a new query. Iterating reads one snapshot, in pages. */
export interface Query<T, R = Stored<T>> extends AsyncIterable<R> {
  toArray(): Promise<R[]>;
  skip(n: number): Query<T, R>;
  limit(n: number): Query<T, R>;
  /**
   * Goes on behind the page() that gave the cursor; that of another collection is INVALID_OPTION. A limit counts the rows from
   * here on, unless that page's query had a limit: then it must be the same one (INVALID_OPTION), and counts its pages together.
   */
  after(cursor: string): Query<T, R>;
  page(size: number): Promise<{ rows: R[]; next?: string }>;
  first(): Promise<R | undefined>;
  count(): Promise<number>;
}

// ── KV ───────────────────────────────────────────────────────────────────────────────────────────────────────────

/** From `start` to before `end`, low to high whatever `reverse`. `prefix`: text or bytes (matches itself too), or leading parts (does not). */
export interface KvRange { prefix?: string | Uint8Array | readonly KeyPart[]; start?: Key; startAfter?: Key; end?: Key }
export interface ReadonlyKeyValue<V = any> {
  get(key: Key): Promise<V | undefined>;
  getMany(keys: readonly Key[]): Promise<(V | undefined)[]>;
  has(key: Key): Promise<boolean>;
  getField<F extends Fields<V>>(key: Key, field: F): Promise<FieldOf<V, F> | undefined>;
  list(options?: KvRange & { reverse?: boolean; limit?: number }): KvQuery<V>;
  count(options?: KvRange): Promise<number>;
}
export interface KeyValue<V = any> extends ReadonlyKeyValue<V> {
  set(key: Key, value: V, options?: { ifAbsent?: boolean; ifPresent?: boolean }): Promise<boolean>;   // false: the condition did not hold
  setMany(entries: Iterable<readonly [Key, V]>): Promise<void>;
  delete(key: Key): Promise<boolean>;
  deleteMany(keys: readonly Key[]): Promise<number>;                      // one commit
  setField<F extends Fields<V>>(key: Key, field: F, value: FieldOf<V, F> | undefined): Promise<void>;   // a name, no path; undefined removes; WRONG_KIND if no map
}
export interface KvQuery<V> extends AsyncIterable<[Key, V]> { toArray(): Promise<[Key, V][]> }

// ── Errors and figures ───────────────────────────────────────────────────────────────────────────────────────────

export class OffshootError<C extends ErrorCode = ErrorCode> extends Error {
  readonly code: C;
  readonly details: ErrorDetails<C>;                    // outcome: "none" (nothing was written) or "unknown" (it may have been)
  readonly retryable: boolean;                          // the same call can succeed later, and doing it again can't do it twice (outcome "none")
  toJSON(): { name: string; code: C; message: string; details: ErrorDetails<C>; retryable: boolean };   // what survives postMessage; from() rebuilds it
  /** Works across realms and copies of the package, where instanceof does not. */
  static is<C extends ErrorCode = ErrorCode>(error: unknown, ...codes: C[]): error is OffshootError<C>;
  /** The error that toJSON() gave, on the other side of postMessage; undefined for anything else. */
  static from(json: unknown): OffshootError | undefined;
}
export type ErrorDetails<C> = { outcome: "none" | "unknown" } & CodeDetails<C>;
type CodeDetails<C> =
  C extends "MERGE_CONFLICT" ? { conflicts: Conflict[] }
  : C extends "CLONE_DEPENDENCY" ? { dependents: string[] }
  : C extends "CLONE_DEPTH_EXCEEDED" ? { materialize: string }
  : C extends "HISTORY_PRUNED" ? { oldest: Version }
  : C extends "INVALID_IMPORT" ? { frame: number; offset: number }          // the frame that is wrong, and the byte at which it begins
  : C extends "INVALID_VALUE" | "INVALID_UPDATE" ? { path: string }
  : Record<string, unknown>;
export type ErrorCode =
  | "INVALID_NAME" | "INVALID_KEY" | "INVALID_VALUE" | "INVALID_FILTER" | "INVALID_UPDATE" | "INVALID_OPTION" | "TOO_LARGE"
  | "DATABASE_EXISTS" | "DATABASE_NOT_FOUND" | "KEY_EXISTS" | "UNIQUE_VIOLATION" | "NOT_A_NUMBER" | "OVERFLOW" | "WRONG_KIND"
  | "CONFLICT" | "MERGE_CONFLICT" | "NOT_A_CLONE" | "CLONE_DEPTH_EXCEEDED" | "CLONE_DEPENDENCY" | "HISTORY_PRUNED"
  | "CLOSED" | "ABORTED" | "TIMEOUT" | "QUOTA_EXCEEDED" | "STORAGE_UNAVAILABLE" | "STORAGE_CORRUPT" | "FORMAT_TOO_NEW" | "FORMAT_TOO_OLD" | "INVALID_IMPORT"
  | "NO_REMOTE" | "OFFLINE" | "UNAUTHORIZED" | "FORBIDDEN" | "REMOTE_REJECTED" | "PROTOCOL_MISMATCH" | "INTERNAL";   // ABORTED: `cause` is the signal's reason
/** `witness`: a wiped store would be noticed. `lostCommits`: relaxed ones that a power cut took before this opening. */
/** `rows`: stored versions, those that history holds and the store's own among them. */
export interface Stats { rows: number; blocks: number; blockBytes: number; liveBytes: number; reclaimableBytes: number; logEntries: number; logBytes: number; cacheHits: number; cacheMisses: number; cachedBytes: number; witness: boolean; lostCommits: number; quota?: number; usage?: number; persisted?: boolean }

/**
 * A backend of the user's own: byte records by space and name, and a log that the backend numbers; with a numbered contract and a suite to
 * check it (src/storage). A number of the log is never given twice, whatever was trimmed. In a batch: checks, deletes, puts, log.
 */
export interface StorageBackend {
  readonly contract: 2;
  readonly recordBytes: number;                         // the most bytes of one record: at least 60,000
  read(space: string, names: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  list(space: string, options: { from?: string; before?: string; limit: number }): Promise<[name: string, bytes: Uint8Array][]>;
  names(space: string, options: { from?: string; before?: string; limit: number }): Promise<string[]>;
  /** The log's records behind the number `after`, in order. */
  log(after: number, limit: number): Promise<[number: number, bytes: Uint8Array][]>;
  /**
   * All or nothing: the last number appended (0: none), or false, with nothing written, when a record in `absent` is there, one in `present` is not, or the
   * log goes on behind `last`. `append` adds to the log, `trim` deletes its records up to that number.
   */
  write(batch: {
    put: [space: string, name: string, bytes: Uint8Array][]; delete: [space: string, name: string][]; deleteRange: [space: string, from: string, before: string][];
    absent: [string, string][]; present: [string, string][]; last?: number; append: Uint8Array[]; trim?: number; durability: Durability;
  }): Promise<number | false>;
  /** A lock of that name among all who have this storage open: how to release it, or undefined if it is taken. It only saves work. */
  lock?(name: string): Promise<(() => void) | undefined>;
  close(): Promise<void>;
}

// ── Entry points ─────────────────────────────────────────────────────────────────────────────────────────────────
// offshoot          browsers, bundlers, Node, Deno, Bun (chosen by the package's export conditions)
export {};
