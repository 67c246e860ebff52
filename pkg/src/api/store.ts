/**
 * The stores that are open in this realm. All handles of one store share its engine, which is opened with the first
 * and closed with the last of them.
 */
import type { OpenOptions } from "../../types/offshoot.js";
import type { CoreStore } from "../core.js";
import { OffshootError } from "../errors.js";
import { type Instance, free, instance } from "../instance.js";
import { checkAgreement, coreOptions, coreStorage } from "./options.js";

/** Closes a handle for a reason that is not its user's. */
export type Abandon = (reason: OffshootError | undefined) => Promise<void>;

export class Store {
  /** One function for each open handle, which closes that handle. */
  readonly handles = new Set<Abandon>();
  readonly name: string;
  readonly instance: Instance;
  /** Undefined: given back to the core. */
  #core: CoreStore | undefined;
  readonly options: OpenOptions;
  readonly mode: "indexeddb" | "memory" | "custom";
  /** Why no handle may be opened any more. */
  doom: OffshootError | undefined;
  readonly #entry: Entry;

  constructor(name: string, loaded: Instance, core: CoreStore, options: OpenOptions, entry: Entry) {
    this.name = name;
    this.instance = loaded;
    this.#core = core;
    this.options = options;
    this.mode = core.storage_mode();
    this.#entry = entry;
  }

  /** A call that began before the last handle closed may go on behind it: then it is CLOSED. */
  get core(): CoreStore {
    if (this.#core === undefined) throw new OffshootError("CLOSED", `the store is closed. store="${this.name}"`);
    return this.#core;
  }

  /** Counts one user more; each calls `release` once. */
  retain(): void {
    this.#entry.users++;
  }

  async release(): Promise<void> {
    this.#entry.users--;
    const core = this.#core;
    if (this.#entry.users > 0 || core === undefined) return;
    this.#core = undefined;
    this.#entry.leaving = true;
    try {
      const closing = core.close();
      free(core);
      await closing;
    } catch (error) {
      throw this.instance.error(error);
    } finally {
      leave(this.name, this.#entry);
    }
  }
}

/** A store from the moment somebody opens it to the moment it is closed; or the time that its destruction takes. */
interface Entry {
  users: number;
  opening: Promise<Store> | undefined;
  /** The last user has gone, or the store is being destroyed: whoever wants it waits until it has `left`. */
  leaving: boolean;
  readonly left: Promise<void>;
  readonly tellLeft: () => void;
}

const entries = new Map<string, Entry>();

function enter(name: string, users: number): Entry {
  let tellLeft!: () => void;
  const left = new Promise<void>((resolve) => (tellLeft = resolve));
  const entry = { users, opening: undefined, leaving: users === 0, left, tellLeft };
  entries.set(name, entry);
  return entry;
}

function leave(name: string, entry: Entry): void {
  if (entries.get(name) === entry) entries.delete(name);
  entry.tellLeft();
}

/** The store, opened or shared, with one user more. */
export async function acquire(name: string, options: OpenOptions): Promise<Store> {
  const loaded = await instance(options.wasm);
  for (;;) {
    const entry = entries.get(name);
    if (entry === undefined) return openFirst(name, loaded, options);
    if (entry.leaving) {
      await entry.left;
      continue;
    }
    entry.users++;
    // If that opening fails, this one tries by itself: its options may be better.
    const store = await entry.opening!.catch(() => undefined);
    if (store === undefined) continue;
    try {
      if (store.doom !== undefined) throw store.doom;
      checkAgreement(store.options, store.mode, options);
    } catch (error) {
      await store.release();
      if (store.doom !== undefined) continue;
      throw loaded.error(error);
    }
    return store;
  }
}

async function openFirst(name: string, loaded: Instance, options: OpenOptions): Promise<Store> {
  const entry = enter(name, 1);
  const made = (core: CoreStore): Store => new Store(name, loaded, core, options, entry);
  try {
    entry.opening = openCore(name, loaded, options).then(made);
    return await entry.opening;
  } catch (error) {
    leave(name, entry);
    throw loaded.error(error);
  }
}

async function openCore(name: string, loaded: Instance, options: OpenOptions): Promise<CoreStore> {
  checkRandomness();
  const given = coreOptions(options);
  if (options.storage === undefined) {
    given.storage = usualStorage();
    if (given.storage === "memory") warnOfMemory(name);
  } else if (options.storage === "indexeddb" && !hasIndexedDb()) {
    throw new OffshootError("STORAGE_UNAVAILABLE", "there is no IndexedDB here");
  }
  return loaded.core.Store.open(name, given);
}

/** Ids and the names of layers are drawn at random: a core that cannot draw them would stop for good. */
function checkRandomness(): void {
  try {
    crypto.getRandomValues(new Uint8Array(1));
  } catch (cause) {
    throw new OffshootError("INTERNAL", "this host has no crypto.getRandomValues", {}, { cause });
  }
}

/**
 * The storage of a store whose caller named none: IndexedDB where it exists, else memory. An IndexedDB that exists and
 * fails is never replaced by memory, which would show an empty store and lose all that is written to it.
 */
function usualStorage(): "indexeddb" | "memory" {
  return hasIndexedDb() ? "indexeddb" : "memory";
}

function hasIndexedDb(): boolean {
  try {
    return typeof indexedDB === "object" && indexedDB !== null;
  } catch (cause) {
    // A frame without an origin of its own may not even ask.
    throw new OffshootError("STORAGE_UNAVAILABLE", "the host refuses IndexedDB here", {}, { cause });
  }
}

let hasWarned = false;

function warnOfMemory(name: string): void {
  if (hasWarned) return;
  hasWarned = true;
  const cure = 'open(name, { storage: "memory" }) says that this is meant';
  console.warn(`offshoot: there is no IndexedDB here, so stores lie in memory only; ${cure}. store="${name}"`);
}

/** Deletes a store. Its handles in this realm close first; those of other tabs are told by the core. */
export async function destroyStore(name: string, where: OpenOptions["storage"]): Promise<void> {
  const loaded = await instance();
  const { from, entry } = await closeOpen(name, where);
  try {
    await loaded.core.Store.destroy(name, coreStorage(from ?? usualStorage()));
  } catch (error) {
    throw loaded.error(error);
  } finally {
    if (entry !== undefined) leave(name, entry);
  }
}

/** A store that is to be destroyed: where it lies, and the entry that makes a later `open()` of its name wait. */
interface Doomed {
  from: OpenOptions["storage"];
  entry: Entry | undefined;
}

/** Closes the store of this name, if one is open where the caller means. */
async function closeOpen(name: string, where: OpenOptions["storage"]): Promise<Doomed> {
  let from = where;
  for (let entry = entries.get(name); entry !== undefined; entry = entries.get(name)) {
    const store = entry.leaving ? undefined : await entry.opening!.catch(() => undefined);
    if (store !== undefined && !entry.leaving) {
      const lies = store.mode === "custom" ? store.options.storage : store.mode;
      // A store of this name in another kind of storage may go on being open; it is another store.
      if (where !== undefined && where !== lies) return { from: where, entry: undefined };
      from = lies;
      entry.leaving = true;
      store.doom = new OffshootError("CLOSED", `the store was destroyed. store="${name}"`);
      for (const abandon of [...store.handles]) abandon(store.doom).catch(() => undefined);
    }
    await entry.left;
  }
  // Take the name in the same turn in which its last user left: a store opened between would be destroyed unseen.
  return { from, entry: enter(name, 0) };
}
