// Bundles the pages with all contenders in the same way, and serves them isolated, where the clock is fine.
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { serve, strictPolicy } from "../tools/serve.mjs";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const pages = ["main", "cold-offshoot", "cold-dexie", "cold-idb"];
const wasmName = "offshoot_core_bg.wasm";
const isolation = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** The package as browsers get it; there is no need to install it to find it. */
const offshoot = {
  name: "offshoot",
  setup(building) {
    const found = { path: path("../../pkg/dist/browser.js") };
    building.onResolve({ filter: /^offshoot$/ }, () => found);
  },
};

/** Bundles with code splitting, as an app would, and lays the module beside. Gives what esbuild made. */
export async function bundle(options) {
  const result = await build({
    bundle: true,
    format: "esm",
    splitting: true,
    minify: true,
    metafile: true,
    target: "es2022",
    logLevel: "error",
    plugins: [offshoot],
    ...options,
  });
  await copyFile(path(`../../pkg/dist/${wasmName}`), join(options.outdir, wasmName));
  return result;
}

const html = (script) => `<!doctype html><meta charset="utf-8"><title>waiting</title>
<link rel="icon" href="data:,"><script type="module" src="/${script}"></script>\n`;

/** A folder that is gone after `close()`, served; `write` fills it. */
export async function serveFolder(write) {
  const folder = await mkdtemp(join(tmpdir(), "offshoot-bench-"));
  await write(folder);
  const site = await serve(folder, { headers: { ...strictPolicy, ...isolation } });
  const close = async () => {
    await site.close();
    await rm(folder, { recursive: true });
  };
  return { url: site.url, folder, close };
}

/** All pages of the measurements. */
export function serveBench() {
  return serveFolder(async (folder) => {
    await bundle({ entryPoints: pages.map((name) => path(`page/${name}.mjs`)), outdir: folder });
    for (const name of pages) await writeFile(join(folder, `${name}.html`), html(`${name}.js`));
  });
}

/** A page of its own with one script, given as text. */
export function serveApp(script) {
  return serveFolder(async (folder) => {
    const stdin = { contents: script, resolveDir: path(".") };
    await bundle({ stdin, outdir: folder });
    await writeFile(join(folder, "index.html"), html("stdin.js"));
  });
}

/** The exact version of a contender that is installed. */
export function versionOf(name) {
  const folder = name === "offshoot" ? "../../pkg" : `../node_modules/${name}`;
  return createRequire(import.meta.url)(path(`${folder}/package.json`)).version;
}
