/** A handle of one database. */
import type * as contract from "../../types/offshoot.js";
import type { CoreCloneOptions, CoreScope } from "../core.js";
import type { OffshootError } from "../errors.js";
import { checkName, checkOptions, flag, invalidOption, oneOf, signal, text, when } from "./check.js";
import { closesAtEndOfBlock } from "./dispose.js";
import { Changes, type Side } from "./diff.js";
import { duration, milliseconds } from "./duration.js";
import * as merging from "./merging.js";
import { watched } from "./progress.js";
import { asCollectionInfo, asDatabaseInfo, asLineageEntry, asMoment, originFigures } from "./reports.js";
import { Scoped } from "./scoped.js";
import { Session } from "./session.js";
import { Snapshot, sessionOf } from "./snapshot.js";
import type { Abandon, Store } from "./store.js";
import { runTransaction } from "./transaction.js";
import { exportFrom, importInto } from "./transfer.js";

/** Lets diff() reach another handle's session without making it part of the class's face. */
const sessions = new WeakMap<object, { session: Session; store: Store }>();
const CLONE = {
  at: when,
  existing: oneOf("fail", "open"),
  ttl: duration,
  materialize: oneOf("never", "background"),
};
const DATABASES = { sizes: flag };
const RESTORE = { keepAs: text, evenIfSynced: flag };
const DIFF = { collection: text, at: when, against: { is: () => true, words: "" }, signal };

/** Opens a handle; the store has been retained for it, and is released if that fails. */
export async function openDatabase<S extends contract.SchemaOf<S>>(
  store: Store,
  name: string,
): Promise<Database<S>> {
  let scope: CoreScope;
  try {
    scope = await store.core.database(name);
  } catch (error) {
    await store.release();
    throw store.instance.error(error);
  }
  const database = new Database<S>(store, name, scope);
  // The store was destroyed while this handle was on its way.
  if (store.doom === undefined) return database;
  for (const abandon of [...store.handles]) await abandon(store.doom);
  throw store.doom;
}

export class Database<S extends contract.SchemaOf<S>> extends Scoped<S> implements contract.Database<S> {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly name: string;
  readonly closed: Promise<OffshootError | undefined>;
  readonly #store: Store;
  readonly #session: Session;
  #tellClosed!: (reason: OffshootError | undefined) => void;
  #closing: Promise<void> | undefined;
  readonly #abandon: Abandon = (reason) => this.#end(reason, false);

  constructor(store: Store, name: string, scope: CoreScope) {
    const session = new Session(store.instance, scope, "live");
    super(session);
    this.name = name;
    this.#store = store;
    this.#session = session;
    this.closed = new Promise((resolve) => (this.#tellClosed = resolve));
    store.handles.add(this.#abandon);
    sessions.set(this, { session, store });
    scope.on_close((error) => {
      this.#abandon(error === undefined ? undefined : store.instance.error(error)).catch(() => undefined);
    });
  }

  get store(): string {
    return this.#store.name;
  }

  get storageMode(): "indexeddb" | "memory" | "custom" {
    return this.#store.mode;
  }

  async transaction<R>(
    body: (tx: contract.Transaction<S>) => R | Promise<R>,
    options?: contract.TransactionOptions,
  ): Promise<R> {
    return runTransaction<S, R>(this.#session, body, options);
  }

  async at(moment: contract.When): Promise<contract.Snapshot<S>> {
    if (!when.is(moment)) throw invalidOption("when", `of at must be ${when.words}`, moment);
    const scope = await this.#session.callAsync(() => this.#session.scope.at(asMoment(moment)));
    return new Snapshot<S>(this.#session, scope);
  }

  async collections(): Promise<contract.CollectionInfo[]> {
    return (await this.#session.callAsync(() => this.#session.scope.collections())).map(asCollectionInfo);
  }

  // The rows of the store's catalog.

  async database(name: string): Promise<contract.Database<S>> {
    checkName(name, "database");
    this.#session.check();
    this.#store.retain();
    return openDatabase<S>(this.#store, name);
  }

  async databases(options: { sizes?: boolean } = {}): Promise<contract.DatabaseInfo[]> {
    checkOptions(options, DATABASES, "databases");
    const sizes = options.sizes ?? false;
    return (await this.#session.callAsync(() => this.#store.core.databases(sizes))).map(asDatabaseInfo);
  }

  async clone(
    name?: string,
    options: contract.CloneOptions & { materialize?: "never" | "background" } = {},
  ): Promise<contract.Database<S>> {
    if (name !== undefined) checkName(name, "database");
    checkOptions(options, CLONE, "clone");
    const given: CoreCloneOptions = {};
    if (options.at !== undefined) given.at = asMoment(options.at);
    if (options.existing !== undefined) given.existing = options.existing;
    if (options.ttl !== undefined) given.ttl = milliseconds(options.ttl)!;
    if (options.materialize === "background") given.background = true;
    const made = await this.#session.callAsync(() => this.#session.scope.create_clone(name, given));
    this.#store.retain();
    return openDatabase<S>(this.#store, made);
  }

  async lineage(): Promise<contract.LineageEntry[]> {
    return (await this.#session.callAsync(() => this.#session.scope.lineage())).map(asLineageEntry);
  }

  async status(): Promise<contract.CloneStatus> {
    return (await this.#session.callAsync(() => this.#session.scope.status())) as contract.CloneStatus;
  }

  diff(options: contract.DiffOptions<S> = {}): contract.Changes<S> {
    checkOptions(options, DIFF, "diff");
    const { collection, at, against, signal } = options;
    const other = this.#other(against);
    return new Changes<S>({
      collection,
      signal,
      subject: () => this.#side(at),
      against: async () => (other === undefined ? undefined : other()),
    });
  }

  async materialize(options?: contract.Progress): Promise<contract.CloneStatus> {
    const { scope } = this.#session;
    const done = await watched(this.#session, "materialize", options, (watch) => scope.materialize(watch));
    return done as contract.CloneStatus;
  }

  // Merging, and going back.

  async merge(options?: contract.MergeOptions<S>): Promise<contract.MergeReport> {
    return merging.merge(this.#session, options);
  }

  async rebase(
    options?: Omit<contract.MergeOptions<S>, "only" | "at"> & { to?: contract.When },
  ): Promise<contract.MergeReport> {
    return merging.rebase(this.#session, options as Parameters<typeof merging.rebase>[1]);
  }

  async reset(options?: { only?: contract.Selection<S> }): Promise<void> {
    await merging.reset(this.#session, options);
  }

  async revert(
    commits: contract.Version | readonly contract.Version[],
    options?: Pick<contract.MergeOptions<S>, "onConflict" | "dryRun">,
  ): Promise<contract.MergeReport> {
    return merging.revert(this.#session, commits, options);
  }

  async restore(
    moment: contract.When,
    options: { keepAs?: string; evenIfSynced?: boolean } = {},
  ): Promise<void> {
    if (!when.is(moment)) throw invalidOption("when", `of restore must be ${when.words}`, moment);
    checkOptions(options, RESTORE, "restore");
    const { keepAs } = options;
    if (keepAs !== undefined) checkName(keepAs, "database");
    await this.#session.callAsync(() => this.#session.scope.restore(asMoment(moment), keepAs));
  }

  // To a file and back.

  export(options?: contract.ExportOptions): ReadableStream<Uint8Array> {
    return exportFrom(this.#session, options);
  }

  async import(
    source: ReadableStream<Uint8Array> | Uint8Array,
    options?: contract.ImportOptions,
  ): Promise<contract.Imported> {
    return importInto(this.#session, source, options);
  }

  async drop(options: { force?: boolean } = {}): Promise<void> {
    checkOptions(options, { force: flag }, "drop");
    const { scope } = this.#session;
    await this.#session.callAsync(() =>
      options.force === true ? scope.drop_by_force(() => true) : scope.drop_database(),
    );
    await this.#end(undefined, false);
  }

  async compact(): Promise<void> {
    await this.#session.callAsync(() => this.#store.core.compact());
  }

  async stats(): Promise<contract.Stats> {
    const figures = await this.#session.callAsync(() => this.#store.core.stats());
    return this.#store.mode === "indexeddb" ? { ...figures, ...(await originFigures()) } : figures;
  }

  close(): Promise<void> {
    return this.#end(undefined, true);
  }

  /** Gives the function that opens the side which this database is compared with. */
  #other(against: contract.DiffOptions<S>["against"]): (() => Promise<Side>) | undefined {
    if (against === undefined) return undefined;
    if (when.is(against)) return () => this.#side(against as contract.When);
    const database = typeof against === "object" ? sessions.get(against) : undefined;
    if (database !== undefined) {
      if (database.store !== this.#store) throw invalidOption("against", "of diff must be of the same store", against);
      return async () => side(database.session);
    }
    const snapshot = typeof against === "object" ? sessionOf(against) : undefined;
    if (snapshot === undefined) {
      throw invalidOption("against", `of diff must be ${when.words}, a database or a snapshot`, against);
    }
    return async () => side(snapshot);
  }

  /** This database at a moment, or now. */
  async #side(moment: contract.When | undefined): Promise<Side> {
    if (moment === undefined) return side(this.#session);
    const past = await this.at(moment);
    return { session: sessionOf(past)!, release: () => void past.close().catch(() => undefined) };
  }

  #end(reason: OffshootError | undefined, leave: boolean): Promise<void> {
    return (this.#closing ??= this.#finish(reason, leave));
  }

  async #finish(reason: OffshootError | undefined, leave: boolean): Promise<void> {
    const last = (scope: CoreScope): Promise<void> => (leave ? scope.leave() : scope.close());
    this.#store.handles.delete(this.#abandon);
    try {
      await this.#session.close(`the database is closed. database="${this.name}"`, last, reason);
    } finally {
      await this.#store.release().finally(() => this.#tellClosed(reason));
    }
  }
}
closesAtEndOfBlock(Database);

async function side(session: Session): Promise<Side> {
  session.check();
  const fixed = await session.fixed();
  return { session: fixed, release: () => session.release(fixed) };
}
