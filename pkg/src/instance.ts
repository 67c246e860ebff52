/** The core's instance as the API uses it: its exports, a view on its memory, and the translation of its errors. */
import type { CoreModule } from "./core.js";
import { type OffshootError, fromCore } from "./errors.js";
import { loadCore } from "./load.js";

export class Instance {
  readonly core: CoreModule;
  readonly #memory: { readonly buffer: ArrayBufferLike };
  #bytes: Uint8Array;

  constructor(core: CoreModule, memory: { readonly buffer: ArrayBufferLike }) {
    this.core = core;
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** All of the memory. When it grows the old buffer is detached, and a view on it has no length: the cheapest test. */
  bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }

  error(thrown: unknown): OffshootError {
    return fromCore(thrown, () => this.core.last_panic());
  }
}

/** Gives back an object of the core's at once: where nobody collects garbage for a while, its memory would stay. */
export function free(owned: { free(): void } | undefined): void {
  try {
    owned?.free();
  } catch {
    // After a panic nothing of the instance can be given back any more.
  }
}

let shared: Instance | undefined;

/** The instance of this realm, loaded by the first call. A load that fails, as on a bad network, is tried again. */
export async function instance(wasm?: string | object): Promise<Instance> {
  if (shared !== undefined) return shared;
  try {
    const { core, memory } = await loadCore(wasm);
    shared ??= new Instance(core as unknown as CoreModule, memory);
    return shared;
  } catch (error) {
    throw fromCore(error, () => undefined);
  }
}
