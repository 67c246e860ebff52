/**
 * Loads the WebAssembly core, once for each realm. Where its bytes lie differs between browser, Node and workerd: the
 * entry point of each says so through `provideCore` before anything else runs. Knows nothing of databases.
 */
import init, * as glue from "../../build/wasm/offshoot_core.js";

/** The exports of the core, and the memory in which its synchronous calls leave their answers. */
export interface LoadedCore {
  readonly core: typeof glue;
  readonly memory: WebAssembly.Memory;
}

/** A compiled module, or the bytes that one can be compiled from. */
export type CoreSource = WebAssembly.Module | BufferSource;

/** How one kind of host comes by the core. */
export interface CoreProvider {
  /** The core that was shipped with this package. */
  find(): Promise<CoreSource>;
  /** The core at a place that the app named: a URL or, where there are files, a path. */
  fetch(location: string): Promise<CoreSource>;
}

let provider: CoreProvider | undefined;
let loading: Promise<LoadedCore> | undefined;

/** Called by the entry point, while modules are evaluated. */
export function provideCore(host: CoreProvider): void {
  provider = host;
}

/**
 * The core, loaded by the first call; the `wasm` of later calls no longer matters. A failure is not kept: the next call
 * tries again. Errors are plain objects of the shape that the core itself throws.
 */
export function loadCore(wasm?: string | object): Promise<LoadedCore> {
  loading ??= instantiate(wasm).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function instantiate(wasm: string | object | undefined): Promise<LoadedCore> {
  const source = wasm === undefined ? await host().find() : await resolve(wasm);
  try {
    const { memory } = await init({ module_or_path: source });
    return { core: glue, memory };
  } catch (error) {
    throw failure("INTERNAL", `the WebAssembly module could not be started: ${describe(error)}`);
  }
}

/** Turns the option `wasm` into something to instantiate. */
async function resolve(wasm: string | object): Promise<CoreSource> {
  if (typeof wasm === "string") return host().fetch(wasm);
  if (wasm instanceof URL) return host().fetch(wasm.href);
  if (wasm instanceof WebAssembly.Module || wasm instanceof ArrayBuffer) return wasm;
  if (ArrayBuffer.isView(wasm)) return wasm as ArrayBufferView<ArrayBuffer>;
  throw failure("INVALID_OPTION", "option wasm must be a URL, bytes, or a WebAssembly.Module");
}

function host(): CoreProvider {
  if (provider === undefined) throw new Error("BUG: no entry point has said where the WebAssembly module lies");
  return provider;
}

/** An error as the core throws it: a message for people, and a code for programs. */
export function failure(code: "INTERNAL" | "INVALID_OPTION", message: string): object {
  return { code, message, details: {}, retryable: code === "INTERNAL" };
}

/** The end of a message about the option `wasm`. */
export function place(location: string): string {
  return `wasm=${JSON.stringify(location)}`;
}

/** The text of whatever was thrown. */
export function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** True if bytes begin as every WebAssembly module does. A server may answer with a page that says "not found". */
export function isWasm(bytes: Uint8Array): boolean {
  return bytes[0] === 0x00 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d;
}
