/** The page's store: one handle for each database that was looked at. */
import { destroy, open } from "./offshoot/browser.js";

const STORE = "offshoot-demo";

export class Store {
  #main;
  #handles = new Map();

  static async open() {
    const store = new Store();
    store.#main = await open(STORE);
    store.#handles.set("main", store.#main);
    return store;
  }

  /** Deletes the store with everything in it; its handles close with CLOSED, in other tabs too. */
  static destroy() {
    return destroy(STORE);
  }

  get isKept() {
    return this.#main.storageMode === "indexeddb";
  }

  /** Resolves when the store was closed under the page, by another tab say, with the reason. */
  get closed() {
    return this.#main.closed;
  }

  /** The newest version that is known here. */
  get version() {
    return this.#main.version;
  }

  /** Resolves when what another tab wrote is read here too: asking for a version that is not here yet brings it. */
  async catchUp(version) {
    if (version <= this.version) return;
    const snapshot = await this.#main.at(version);
    await snapshot.close();
  }

  databases() {
    return this.#main.databases({ sizes: true });
  }

  async database(name) {
    const known = this.#handles.get(name);
    if (known !== undefined) return known;
    const database = await this.#main.database(name);
    this.#keep(database);
    return database;
  }

  async clone(origin, name, at, options) {
    const database = await this.database(origin);
    const began = performance.now();
    const clone = await database.clone(name, at === undefined ? options : { ...options, at: new Date(at) });
    const took = performance.now() - began;
    this.#keep(clone);
    return took;
  }

  async drop(name, options) {
    await (await this.database(name)).drop(options);
  }

  #keep(database) {
    this.#handles.set(database.name, database);
    // Dropped here or in another tab: a database of this name that is made later is another one.
    database.closed.then(() => {
      if (this.#handles.get(database.name) === database) this.#handles.delete(database.name);
    });
  }
}
