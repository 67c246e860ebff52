// The installed package in Chromium: as it is, in an esbuild bundle, and in a Vite app, none with a setting of its own.
import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import * as vite from "vite";
import { launch } from "../tools/chromium.mjs";
import { serve, strictPolicy } from "../tools/serve.mjs";
import { expected, installApp, visit, writePage } from "./app.mjs";

const wasmName = "offshoot_core_bg.wasm";
const isEmbeddedCopy = (path) => path.includes("core_bytes");
const isModule = (path) => path.endsWith(".wasm");

let app;
let browser;
before(async () => {
  app = await installApp();
  await writePage(app.folder);
  browser = await launch();
});
after(async () => {
  await browser.close();
  await app.remove();
});

/** Bundles the app with esbuild, everything but `options` being as it is by default. */
function bundle(options) {
  return esbuild.build({ entryPoints: [join(app.folder, "main.js")], bundle: true, logLevel: "error", ...options });
}

/** Serves a folder for as long as one page is looked at. */
async function visitFolder(folder, headers = strictPolicy) {
  const site = await serve(folder, { headers });
  try {
    return await visit(browser, site.url);
  } finally {
    await site.close();
  }
}

test("a page imports the package with an import map and no tool at all", async () => {
  const folder = join(app.folder, "plain");
  await mkdir(folder);
  await bundle({ outdir: folder, format: "esm", external: ["offshoot"] });
  const dist = join(app.folder, "node_modules/offshoot/dist");
  for (const name of await readdir(dist)) await copyFile(join(dist, name), join(folder, name));
  await writeFile(
    join(folder, "index.html"),
    `<!doctype html><title>waiting</title>
    <script type="importmap">{ "imports": { "offshoot": "/browser.js" } }</script>
    <script type="module" src="/main.js"></script>`,
  );
  // An import map is an inline script, which the strict policy would not let through.
  const { answer, requests } = await visitFolder(folder, {});
  assert.equal(answer, expected);
  assert.ok(requests.some(isModule) && !requests.some(isEmbeddedCopy), requests.join(" "));
});

for (const format of ["esm", "iife"]) {
  test(`an esbuild bundle (${format}) answers under a strict policy, though esbuild copies no module`, async () => {
    const folder = join(app.folder, `esbuild-${format}`);
    await bundle({ outdir: folder, format });
    await copyFile(join(app.folder, "index.html"), join(folder, "index.html"));
    assert.equal((await visitFolder(folder)).answer, expected);
  });
}

test("the embedded copy is no part of what an app loads, and the size of that is told", async (t) => {
  const folder = join(app.folder, "esbuild-split");
  const result = await bundle({ outdir: folder, format: "esm", splitting: true, minify: true, metafile: true });
  await copyFile(join(app.folder, "index.html"), join(folder, "index.html"));
  await copyFile(join(app.folder, "node_modules/offshoot/dist", wasmName), join(folder, wasmName));
  const { answer, requests } = await visitFolder(folder);
  assert.equal(answer, expected);
  assert.ok(!requests.some(isEmbeddedCopy), requests.join(" "));

  const loaded = requests.filter((path) => /\.(js|wasm)$/.test(path));
  assert.ok(loaded.some(isModule) && Object.keys(result.metafile.outputs).length > 1, loaded.join(" "));
  let total = 0;
  for (const path of loaded) {
    const bytes = gzipSync(await readFile(join(folder, path))).length;
    total += bytes;
    t.diagnostic(`${path}: ${bytes} bytes after gzip`);
  }
  t.diagnostic(`an app loads ${total} bytes after gzip; the aim is at most 150000`);
});

test("a Vite app answers in development, where packages are moved elsewhere", async () => {
  const server = await vite.createServer({
    root: app.folder,
    configFile: false,
    logLevel: "error",
    server: { host: "127.0.0.1", port: 0, strictPort: false },
  });
  try {
    await server.listen();
    const { port } = server.httpServer.address();
    // The second visit is served from the cache of moved packages.
    for (const round of ["first", "second"]) {
      const { answer } = await visit(browser, `http://127.0.0.1:${port}/`);
      assert.equal(answer, expected, `${round} visit`);
    }
  } finally {
    await server.close();
  }
});

test("a Vite app's production build loads the module and never the embedded copy", async () => {
  const outDir = join(app.folder, "vite-build");
  await vite.build({ root: app.folder, configFile: false, logLevel: "error", build: { outDir } });
  const { answer, requests } = await visitFolder(outDir);
  assert.equal(answer, expected);
  assert.ok(requests.some(isModule) && !requests.some(isEmbeddedCopy), requests.join(" "));
});
