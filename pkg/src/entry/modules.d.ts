// Modules that exist in `dist` only: the build puts them beside the entry points.

declare module "*.wasm" {
  const module: WebAssembly.Module;
  export default module;
}

declare module "*/core_bytes.js" {
  /** The module's bytes in base64. */
  const text: string;
  export default text;
}
