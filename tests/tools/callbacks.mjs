// Counts the functions of the core that the host has: generated code tells a registry of each, when it is made and when
// it is taken back. It runs in Node and in pages, before the package is loaded.

/** Begins to count. */
export function countCallbacks() {
  globalThis.callbacks = new Set();
  globalThis.FinalizationRegistry = class {
    #tokens;
    constructor(finalize) {
      this.#tokens = /destroy_closure/.test(String(finalize)) ? globalThis.callbacks : new Set();
    }
    register(_, __, token) {
      this.#tokens.add(token);
    }
    unregister(token) {
      return this.#tokens.delete(token);
    }
  };
}

/** The functions that were made and not taken back. */
export const callbacksAlive = () => globalThis.callbacks.size;
