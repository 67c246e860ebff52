// The installed package in workerd, the runtime of Cloudflare Workers, bundled as their tools bundle.
import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { startWorkerd } from "../tools/workerd.mjs";
import { expected, installApp } from "./app.mjs";

let app;
before(async () => {
  app = await installApp();
});
after(() => app.remove());

/** Bundles the worker; modules of WebAssembly stay files of their own, which workerd compiles before it starts. */
async function bundleWorker(folder) {
  await writeFile(
    join(app.folder, "worker.mjs"),
    `import { example } from "./example.mjs";
export default { async fetch() { return new Response(await example()); } };
`,
  );
  await build({
    entryPoints: [join(app.folder, "worker.mjs")],
    outfile: join(folder, "worker.js"),
    bundle: true,
    format: "esm",
    conditions: ["workerd", "worker"],
    loader: { ".wasm": "copy" },
    logLevel: "error",
  });
}

/** The worker first, which is the one that workerd starts. */
async function builtFiles(folder) {
  const names = await readdir(folder);
  return ["worker.js", ...names.filter((name) => name !== "worker.js")];
}

test("a worker that bundles the package answers", async () => {
  const folder = join(app.folder, "worker");
  await bundleWorker(folder);
  const { url, stop } = await startWorkerd(folder, await builtFiles(folder));
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    assert.equal(await response.text(), expected);
  } finally {
    await stop();
  }
});
