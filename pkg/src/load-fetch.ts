/** Brings a WebAssembly module over fetch, compiling while it arrives where the server's headers allow it. */
import { isWasm } from "./load.js";

/** The module at `url`; undefined if the server answers with something else. Rejects if unreachable or broken. */
export async function fetchModule(url: string): Promise<WebAssembly.Module | undefined> {
  const response = await fetch(url);
  if (!response.ok) return undefined;
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/wasm") && "compileStreaming" in WebAssembly) {
    return WebAssembly.compileStreaming(response);
  }
  const bytes = await response.arrayBuffer();
  return isWasm(new Uint8Array(bytes)) ? WebAssembly.compile(bytes) : undefined;
}
