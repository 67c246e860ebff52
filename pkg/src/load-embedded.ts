/**
 * The core from a copy that is JavaScript. A module finds its own `.wasm` file through `import.meta.url`, which some
 * tools break: a development server that moves packages elsewhere, a bundler that copies no files. Every tool follows
 * an import. It is loaded only when the file is not where it should be.
 */

/** The bytes of the module. */
export async function embeddedCore(): Promise<Uint8Array<ArrayBuffer>> {
  const { default: text } = await import("./core_bytes.js");
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
