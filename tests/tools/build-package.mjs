// Makes pkg/dist from pkg/src and build/wasm: a module for each kind of host, the WebAssembly, its copy as JavaScript.
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = new URL("../../", import.meta.url);
const path = (name) => fileURLToPath(new URL(name, root));
const entries = ["browser", "node", "workerd"];
const wasmFile = path("build/wasm/offshoot_core_bg.wasm");

// Everything is made beside dist and moved in at the end, so that a failed build leaves the last good one.
const workshop = path("build/dist.new");
await rm(workshop, { recursive: true, force: true });
await mkdir(workshop, { recursive: true });

await build({
  entryPoints: entries.map((name) => path(`pkg/src/entry/${name}.ts`)),
  outdir: workshop,
  bundle: true,
  // Its exports take the place of the globals of the same names.
  inject: [path("pkg/src/host.ts")],
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  // Resolved by whoever loads the package: Node's modules, and the files that lie beside the entry points.
  external: ["node:*", "*.wasm", "*/core_bytes.js"],
  sourcemap: "linked",
  logLevel: "warning",
});
await cp(wasmFile, `${workshop}/offshoot_core_bg.wasm`);
const bytes = await readFile(wasmFile);
await writeFile(`${workshop}/core_bytes.js`, `export default "${bytes.toString("base64")}";\n`);

await rm(path("pkg/dist"), { recursive: true, force: true });
await rename(workshop, path("pkg/dist"));
