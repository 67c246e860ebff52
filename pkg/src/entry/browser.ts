/** The entry point of browsers, their workers, and every host that is neither Node nor workerd. */
import { describe, failure, place, provideCore } from "../load.js";
import { embeddedCore } from "../load-embedded.js";
import { fetchModule } from "../load-fetch.js";

provideCore({
  async find() {
    const shipped = await shippedModule().catch(() => undefined);
    if (shipped !== undefined) return shipped;
    try {
      return await embeddedCore();
    } catch (error) {
      const hint = "the WebAssembly module could not be loaded; open's option wasm can say where it is";
      throw failure("INTERNAL", `${hint}: ${describe(error)}`);
    }
  },
  async fetch(location) {
    let module: WebAssembly.Module | undefined;
    try {
      module = await fetchModule(location);
    } catch (error) {
      throw failure("INTERNAL", `the WebAssembly module could not be loaded. ${place(location)}: ${describe(error)}`);
    }
    if (module === undefined) throw failure("INVALID_OPTION", `no WebAssembly module is there. ${place(location)}`);
    return module;
  },
});

/** This very expression is what bundlers look for: they copy the file and put its new address here. */
async function shippedModule(): Promise<WebAssembly.Module | undefined> {
  return fetchModule(new URL("./offshoot_core_bg.wasm", import.meta.url).href);
}

export * from "../index.js";
