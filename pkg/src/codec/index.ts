/** Values to MessagePack bytes and back: canonical, strict, and fast. The rules are in writer.ts and reader.ts. */
export { MAX_BYTES, MAX_DEPTH } from "./limits.js";
export { decode, Reader } from "./reader.js";
export { encode, encodeWith, Writer } from "./writer.js";
