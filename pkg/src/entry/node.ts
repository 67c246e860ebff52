/** The entry point of Node, and of hosts that know its modules. */
import { readFile } from "node:fs/promises";
import { describe, failure, isWasm, place, provideCore } from "../load.js";
import { embeddedCore } from "../load-embedded.js";
import { fetchModule } from "../load-fetch.js";

provideCore({
  async find() {
    try {
      return await readFile(new URL("./offshoot_core_bg.wasm", import.meta.url));
    } catch {
      // Bundled into an app's own file, without the file beside it.
      return embeddedCore();
    }
  },
  async fetch(location) {
    try {
      const bytes = /^https?:/i.test(location) ? await fetchModule(location) : await readModuleFile(location);
      if (bytes !== undefined) return bytes;
    } catch (error) {
      throw failure("INTERNAL", `the WebAssembly module could not be read. ${place(location)}: ${describe(error)}`);
    }
    throw failure("INVALID_OPTION", `no WebAssembly module is there. ${place(location)}`);
  },
});

/** A path as the app wrote it, or a file's URL. */
async function readModuleFile(location: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const bytes = await readFile(/^file:/i.test(location) ? new URL(location) : location);
  return isWasm(bytes) ? bytes : undefined;
}

export * from "../index.js";
