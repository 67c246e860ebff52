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
async function bundleWorker(folder, source) {
  await writeFile(join(app.folder, "worker.mjs"), source);
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
  await bundleWorker(
    folder,
    `import { example } from "./example.mjs";
export default { async fetch() { return new Response(await example()); } };
`,
  );
  const { url, stop } = await startWorkerd(folder, await builtFiles(folder));
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    assert.equal(await response.text(), expected);
  } finally {
    await stop();
  }
});

/** Requests that transact on one key. Each body waits for something of its own request, as it would for a fetch. */
const COUNTING = `import { open } from "offshoot";
let kept;
async function count(request) {
  const name = new URL(request.url).pathname;
  // The first request of all opens the store and leaves it open; the others share it.
  const db = await open("shared", { storage: "memory" });
  kept ??= db;
  const add = (tx) => async () => {
    const n = (await tx.kv().get("n")) ?? 0;
    if (name !== "/read") await scheduler.wait(5 + Math.random() * 20);
    if (name !== "/read") await tx.kv().set("n", n + 1);
    return n;
  };
  const body = async (tx) => {
    if (name === "/nested") await db.transaction((inner) => inner.kv().set("m", 1));
    const n = await add(tx)();
    if (name === "/abandoned") await scheduler.wait(60_000);
    return n;
  };
  const n = await db.transaction(body, { retries: 100 });
  if (kept !== db) await db.close();
  return new Response(String(n));
}
export class Counter { fetch(request) { return count(request); } }
export default {
  async fetch(request, env) {
    if (env.Counter === undefined) return count(request);
    return env.Counter.get(env.Counter.idFromName("one")).fetch(request);
  },
};
`;

for (const [place, durableObject] of [
  ["a plain Worker", undefined],
  ["a Durable Object", "Counter"],
]) {
  test(`six requests at once on one key of ${place} all succeed, and so do those that follow`, async () => {
    const folder = join(app.folder, `counting-${durableObject}`);
    await bundleWorker(folder, COUNTING);
    const { url, stop } = await startWorkerd(folder, await builtFiles(folder), durableObject);
    const answers = (paths, options) =>
      Promise.all(
        paths.map(async (path) => {
          const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(30_000), ...options });
          return `${response.status} ${response.ok ? "" : await response.text()}`;
        }),
      );
    const six = (path) => Array.from({ length: 6 }, () => path);
    const good = six("200 ");
    try {
      for (let group = 1; group <= 4; group++) {
        assert.deepEqual(await answers(six("/add")), good, `group ${group}`);
        assert.equal(await (await fetch(`${url}/read`)).text(), String(group * 6), "each was counted once");
      }
      assert.deepEqual(await answers(six("/nested")), good, "with a transaction inside of each");
      // Requests that go away in the middle of their bodies leave nothing behind.
      const gone = AbortSignal.timeout(100);
      await assert.rejects(answers(six("/abandoned"), { signal: gone }));
      for (let group = 5; group <= 6; group++) {
        assert.deepEqual(await answers(six("/add")), good, `group ${group}, after others have gone`);
      }
      assert.equal(await (await fetch(`${url}/read`)).text(), String(7 * 6));
    } finally {
      await stop();
    }
  });
}
