// Loaded before everything else: keeps hold of the memory of every WebAssembly instance that is made from here on.

const memories = [];
const note = (result) => {
  const { memory } = (result.instance ?? result).exports;
  if (memory !== undefined) memories.push(memory);
  return result;
};

for (const name of ["instantiate", "instantiateStreaming"]) {
  const original = WebAssembly[name];
  WebAssembly[name] = (...given) => original.apply(WebAssembly, given).then(note);
}

/** Bytes of WebAssembly memory; it never shrinks. */
export const wasmBytes = () => memories.reduce((bytes, memory) => bytes + memory.buffer.byteLength, 0);
