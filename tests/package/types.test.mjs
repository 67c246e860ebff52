// The declarations in the tarball: found under both kinds of resolution, and complete in every kind of app.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { installApp, tools } from "./app.mjs";

const resolutions = {
  NodeNext: { module: "NodeNext", moduleResolution: "NodeNext" },
  Bundler: { module: "ESNext", moduleResolution: "Bundler" },
};
// The packages of types are borrowed from this repository: an app would have installed the one that it needs.
const typeRoots = [join(tools, "@types"), join(tools, "@cloudflare")];
const hosts = {
  "the DOM library": { lib: ["ES2023", "DOM"], types: [] },
  "Node's types alone": { lib: ["ES2023"], types: ["node"] },
  "Workers' types alone": { lib: ["ES2023"], types: ["workers-types"] },
};

let app;
before(async () => {
  app = await installApp();
  await copyFile(new URL("example.ts", import.meta.url), join(app.folder, "example.ts"));
});
after(() => app.remove());

/** The compiler's complaints about the app's files: empty when all is well. */
async function complaints(options, files) {
  const path = join(app.folder, "tsconfig.json");
  // Declarations are checked too: an app that does not skip them must not fail by ours.
  const always = { target: "ES2022", strict: true, noEmit: true, skipLibCheck: false, typeRoots };
  await writeFile(path, JSON.stringify({ compilerOptions: { ...always, ...options }, files }));
  const compiler = join(tools, "typescript/bin/tsc");
  return new Promise((done) => {
    execFile(process.execPath, [compiler, "--project", path], (error, stdout) => {
      done(error === null ? "" : stdout || String(error));
    });
  });
}

for (const [resolution, how] of Object.entries(resolutions)) {
  for (const [host, where] of Object.entries(hosts)) {
    test(`an app type-checks under ${resolution} with ${host}`, async () => {
      assert.equal(await complaints({ ...how, ...where }, ["example.ts"]), "");
    });
  }
}

test("a call that the declarations do not know is refused", async () => {
  await writeFile(join(app.folder, "wrong.ts"), `import { open } from "offshoot";\nopen(42);\n`);
  const said = await complaints({ ...resolutions.NodeNext, ...hosts["the DOM library"] }, ["wrong.ts"]);
  assert.match(said, /wrong\.ts\(2,6\): error TS2345/);
});
