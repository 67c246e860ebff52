// The tarball holds the right files, and works in Node with nothing else installed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expected, installApp } from "./app.mjs";

const run = promisify(execFile);
const repository = new URL("../../", import.meta.url);

let app;
before(async () => {
  app = await installApp();
});
after(() => app.remove());

test("the tarball holds what is shipped and nothing else", () => {
  const files = app.tarball.files.map((file) => file.path);
  const needed = ["LICENSE-MIT", "LICENSE-APACHE", "types/offshoot.d.ts", "dist/offshoot_core_bg.wasm"];
  assert.deepEqual(needed.filter((file) => !files.includes(file)), [], "missing");
  const allowed = /^(package\.json|README\.md|LICENSE-\w+|types\/\w+\.d\.ts|dist\/\w+\.(js|js\.map|wasm))$/;
  assert.deepEqual(files.filter((file) => !allowed.test(file)), []);
});

test("the package brings no other package along", async () => {
  const { dependencies, peerDependencies, optionalDependencies } = JSON.parse(
    await readFile(join(app.folder, "node_modules/offshoot/package.json"), "utf8"),
  );
  assert.deepEqual([dependencies, peerDependencies, optionalDependencies], [undefined, undefined, undefined]);
  const installed = await readdir(join(app.folder, "node_modules"));
  assert.deepEqual(installed.filter((name) => !name.startsWith(".")), ["offshoot"]);
});

test("crate and package carry one version and one licence", async () => {
  const manifest = await readFile(new URL("Cargo.toml", repository), "utf8");
  assert.ok(manifest.includes(`version = "${app.tarball.version}"`), "Cargo.toml has another version");
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) {
    const shipped = await readFile(new URL(`pkg/${name}`, repository), "utf8");
    assert.equal(shipped, await readFile(new URL(name, repository), "utf8"));
  }
});

test("the module says nothing of the machine that built it", async () => {
  const module = await readFile(join(app.folder, "node_modules/offshoot/dist/offshoot_core_bg.wasm"), "latin1");
  for (const folder of [fileURLToPath(repository), homedir()]) assert.ok(!module.includes(folder), folder);
});

/** Runs a script of the app in a Node of its own. */
async function runScript(name) {
  const { stdout } = await run(process.execPath, [name], { cwd: app.folder });
  return stdout.trim();
}

test("an empty Node app imports the package and gets an answer", async () => {
  await writeFile(join(app.folder, "main.mjs"), `console.log(await (await import("./example.mjs")).example());`);
  assert.equal(await runScript("main.mjs"), expected);
});

test("a Node app that was bundled into one file answers without the file of the module beside it", async () => {
  const outfile = join(app.folder, "one", "main.mjs");
  const entryPoints = [join(app.folder, "main.mjs")];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", logLevel: "error" });
  assert.deepEqual(await readdir(join(app.folder, "one")), ["main.mjs"]);
  assert.equal(await runScript("one/main.mjs"), expected);
});
