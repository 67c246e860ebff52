// The TypeScript of the package on a model of the core: every promise, without WebAssembly. What fails here and not on
// the real core is a mistake of the model; what fails on both is one of the TypeScript or of the promise.
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { suites } from "../promises/index.mjs";
import { core, memory } from "./model/core.mjs";

const sources = fileURLToPath(new URL("../../pkg/src/index.ts", import.meta.url));
const modelInsteadOfWasm = {
  name: "model",
  setup: ({ onLoad }) =>
    onLoad({ filter: /pkg\/src\/load\.ts$/ }, () => ({
      contents: "export const loadCore = async () => globalThis.modelOfTheCore;",
    })),
};
const { outputFiles } = await build({
  entryPoints: [sources],
  bundle: true,
  format: "esm",
  target: "es2022",
  write: false,
  plugins: [modelInsteadOfWasm],
});
globalThis.modelOfTheCore = { core, memory };
const api = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);

for (const [suite, cases] of Object.entries(suites)) {
  for (const { name, run } of cases) test(`${suite}: ${name}`, () => run({ ...api, storage: "memory" }));
}
