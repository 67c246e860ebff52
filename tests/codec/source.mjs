// The codec, bundled from its sources: its tests need no build and no WebAssembly.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const entry = fileURLToPath(new URL("../../pkg/src/codec/index.ts", import.meta.url));
const { outputFiles } = await build({
  entryPoints: [entry],
  bundle: true,
  format: "esm",
  target: "es2022",
  write: false,
});
const module = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);

export const { encode, encodeWith, decode, Reader, Writer, MAX_BYTES, MAX_DEPTH } = module;

/** Bytes from text such as "c4-01-ff" or "c401ff". */
export const fromHex = (text) =>
  Uint8Array.from(text.replaceAll("-", "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
export const toHex = (bytes) => Buffer.from(bytes).toString("hex");

/** A map's bytes as the store keeps a document, decoded with its id. */
export const decodeDocument = (bytes, id) => {
  const reader = new Reader(bytes);
  const document = reader.document(id);
  reader.finish();
  return document;
};
export const encodeDocument = (document) =>
  encodeWith(
    (writer) => writer.document(document),
    (bytes) => bytes.slice(),
  );
