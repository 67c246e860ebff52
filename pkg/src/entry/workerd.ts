/** The entry point of Cloudflare Workers. They compile no bytes at run time: modules come compiled, by import. */
import module from "./offshoot_core_bg.wasm";
import { failure, place, provideCore } from "../load.js";

provideCore({
  find: () => Promise.resolve(module),
  async fetch(location) {
    throw failure("INVALID_OPTION", `here option wasm must be an imported WebAssembly.Module. ${place(location)}`);
  },
});

export * from "../index.js";
