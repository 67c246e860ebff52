/**
 * The host's functions as they were when the package was loaded. The build puts what is exported here in the place of
 * the globals of these names (tests/tools/build-package.mjs), in the package's own code and in that of wasm-bindgen,
 * which schedules every task of the core by `queueMicrotask`. Tests replace globals by fakes that call nobody back: a
 * core that looked its globals up when it needs them would wait for ever, and go on waiting when the fakes are gone.
 *
 * A global that is missing when the package loads is looked up again when it is used, so loading never fails for it.
 */
import { OffshootError } from "./errors.js";

function missing(name: string): OffshootError {
  return new OffshootError("INTERNAL", `this host lacks a function that every call needs. name=${name}`);
}

/** A function of `owner`, bound to it. */
function early<F extends (...given: never[]) => unknown>(owner: () => unknown, path: string): F {
  const name = path.slice(path.lastIndexOf(".") + 1);
  const find = (): F | undefined => {
    const object = owner() as Record<string, F> | undefined;
    const found = object?.[name];
    return typeof found === "function" ? (found.bind(object) as F) : undefined;
  };
  let known = find();
  const call = (...given: never[]): unknown => {
    known ??= find();
    if (known === undefined) throw missing(path);
    return known(...given);
  };
  return call as F;
}

export const queueMicrotask = early<(task: () => void) => void>(() => globalThis, "queueMicrotask");
export const setTimeout = early<(task: () => void, milliseconds: number) => unknown>(() => globalThis, "setTimeout");
export const clearTimeout = early<(timer: unknown) => void>(() => globalThis, "clearTimeout");
/**
 * Calls back once all tasks that wait now had their turn. A timer does so too, but browsers delay the fifth timer in a
 * row by 4 ms. `setImmediate` comes first, because a message port would keep Node alive. Each port is closed when its
 * message has come. On Cloudflare's runtime timers are quick, and a request may not wait for a port of another request.
 */
const immediate = (globalThis as { setImmediate?: (task: () => void) => unknown }).setImmediate?.bind(globalThis);
const Channel = globalThis.MessageChannel as typeof MessageChannel | undefined;
const hasQuickTimers = globalThis.navigator?.userAgent === "Cloudflare-Workers";

export function setPause(task: () => void): void {
  if (immediate !== undefined && !hasQuickTimers) {
    immediate(task);
  } else if (Channel !== undefined && !hasQuickTimers) {
    const { port1, port2 } = new Channel();
    port1.onmessage = () => {
      port1.close();
      task();
    };
    port2.postMessage(null);
  } else {
    setTimeout(task, 0);
  }
}
const now = early<() => number>(() => globalThis.Date, "Date.now");
const steady = early<() => number>(() => globalThis.performance, "performance.now");
const random = early<(bytes: Uint8Array) => Uint8Array>(() => globalThis.crypto, "crypto.getRandomValues");
export { now as "Date.now", steady as "performance.now", random as "crypto.getRandomValues" };

/** A text decoder that is made when it is first used: some test environments have none. */
export class TextDecoder {
  readonly #make: () => InstanceType<typeof globalThis.TextDecoder>;
  #made: InstanceType<typeof globalThis.TextDecoder> | undefined;

  constructor(label?: string, options?: TextDecoderOptions) {
    this.#make = () => {
      const Made = globalThis.TextDecoder as typeof globalThis.TextDecoder | undefined;
      if (Made === undefined) throw missing("TextDecoder");
      return new Made(label, options);
    };
  }

  decode(bytes?: Uint8Array): string {
    // Generated code asks for nothing once, to warm it up.
    return bytes === undefined ? "" : (this.#made ??= this.#make()).decode(bytes);
  }
}

export class TextEncoder {
  #made: InstanceType<typeof globalThis.TextEncoder> | undefined;

  encode(text: string): Uint8Array {
    return this.#real().encode(text);
  }

  encodeInto(text: string, bytes: Uint8Array): { read: number; written: number } {
    return this.#real().encodeInto(text, bytes);
  }

  #real(): InstanceType<typeof globalThis.TextEncoder> {
    if (this.#made !== undefined) return this.#made;
    const Made = globalThis.TextEncoder as typeof globalThis.TextEncoder | undefined;
    if (Made === undefined) throw missing("TextEncoder");
    return (this.#made = new Made());
  }
}
