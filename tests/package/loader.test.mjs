// How the core is found and what the option `wasm` may be, on the loader alone, as the entry point of Node sets it up.
import assert from "node:assert/strict";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { serve } from "../tools/serve.mjs";

const dist = fileURLToPath(new URL("../../pkg/dist/", import.meta.url));
const source = fileURLToPath(new URL("../../pkg/src/", import.meta.url));
const { version } = JSON.parse(await readFile(new URL("../../pkg/package.json", import.meta.url), "utf8"));

let folder;
let site;
let wasmFile;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "offshoot-loader-"));
  wasmFile = join(folder, "offshoot_core_bg.wasm");
  await build({
    stdin: { contents: `export { loadCore } from "./load.ts"; import "./entry/node.ts";`, resolveDir: source },
    outfile: join(folder, "loader.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["*/core_bytes.js"],
    // The package has no side effects for those who use something of it. This bundle wants its side effect alone.
    ignoreAnnotations: true,
    logLevel: "error",
  });
  for (const name of ["offshoot_core_bg.wasm", "core_bytes.js"]) await copyFile(join(dist, name), join(folder, name));
  await copyFile(wasmFile, join(folder, "core.bin"));
  await writeFile(join(folder, "page.html"), "<title>not found</title>");
  site = await serve(folder);
});
after(async () => {
  await site.close();
  await rm(folder, { recursive: true });
});

let loaded = 0;
/** A loader that has loaded nothing yet: each address is a module of its own. */
async function freshLoader() {
  const { loadCore } = await import(`${pathToFileURL(join(folder, "loader.mjs"))}?${(loaded += 1)}`);
  return loadCore;
}

const accepted = {
  "nothing, which finds the file beside the module": () => undefined,
  "a path": () => wasmFile,
  "the URL of a file as text": () => pathToFileURL(wasmFile).href,
  "the URL of a file": () => pathToFileURL(wasmFile),
  "an address that serves WebAssembly as such": () => `${site.url}/offshoot_core_bg.wasm`,
  "an address that serves it as anything else": () => `${site.url}/core.bin`,
  "bytes": () => readFile(wasmFile),
  "a buffer": async () => (await readFile(wasmFile)).buffer,
  "a compiled module": async () => WebAssembly.compile(await readFile(wasmFile)),
};
for (const [what, make] of Object.entries(accepted)) {
  test(`the core loads from ${what}`, async () => {
    const load = await freshLoader();
    const { core, memory } = await load(await make());
    assert.equal(core.version(), version);
    assert.ok(memory instanceof WebAssembly.Memory);
    assert.equal(await load("not looked at any more"), await load(), "later calls give the same core");
  });
}

const refused = {
  "a file that is no module": [() => join(folder, "page.html"), "INVALID_OPTION", /page\.html/],
  "an address that serves no module": [() => `${site.url}/page.html`, "INVALID_OPTION", /page\.html/],
  "an address where nothing is": [() => `${site.url}/missing.wasm`, "INVALID_OPTION", /missing\.wasm/],
  "a file that is not there": [() => join(folder, "missing.wasm"), "INTERNAL", /missing\.wasm/],
  "bytes that are no module": [() => new Uint8Array([1, 2, 3]), "INTERNAL", /could not be started/],
  "an object of another kind": [() => ({ url: "core.wasm" }), "INVALID_OPTION", /option wasm must be/],
};
for (const [what, [make, code, message]] of Object.entries(refused)) {
  test(`${what} is refused by name, and the next call may do better`, async () => {
    const load = await freshLoader();
    await assert.rejects(load(make()), (error) => {
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
    assert.equal((await load()).core.version(), version);
  });
}

test("without the file beside the module, its copy in JavaScript answers", async () => {
  const load = await freshLoader();
  await rm(wasmFile);
  try {
    assert.equal((await load()).core.version(), version);
  } finally {
    await copyFile(join(dist, "offshoot_core_bg.wasm"), wasmFile);
  }
});
