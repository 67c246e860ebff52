// The package's TypeScript on the model of the core.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { core, memory } from "./core.mjs";

const sources = fileURLToPath(new URL("../../../pkg/src/index.ts", import.meta.url));
const modelInsteadOfWasm = {
  name: "model",
  setup: ({ onLoad }) =>
    onLoad({ filter: /pkg[\\/]src[\\/]load\.ts$/ }, () => ({
      contents: "export const loadCore = async () => globalThis.modelOfTheCore;",
    })),
};

export async function openModel() {
  globalThis.modelOfTheCore = { core, memory };
  const { outputFiles } = await build({
    entryPoints: [sources],
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    plugins: [modelInsteadOfWasm],
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}
