// The installed package in every kind of worker that a browser has, each with its own rules about loading code.
import assert from "node:assert/strict";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as esbuild from "esbuild";
import { launch } from "../tools/chromium.mjs";
import { serve } from "../tools/serve.mjs";
import { expected, installApp } from "./app.mjs";

// A page hands the worker a port; the answer comes back on it. The three kinds of worker differ in how it arrives.
const worker = `import { example } from "./example.mjs";
function receive({ ports: [port] }) {
  if (port === undefined) return;
  example().then(
    (answer) => port.postMessage(answer),
    (error) => port.postMessage("failed: " + (error?.message ?? JSON.stringify(error))),
  );
}
addEventListener("message", receive);
addEventListener("connect", ({ ports: [page] }) => { page.onmessage = receive; });
`;

let app;
let browser;
let site;
before(async () => {
  app = await installApp();
  const folder = join(app.folder, "site");
  await mkdir(folder);
  await writeFile(join(app.folder, "worker.mjs"), worker);
  await esbuild.build({
    entryPoints: [join(app.folder, "worker.mjs")],
    outfile: join(folder, "worker.js"),
    bundle: true,
    format: "esm",
    logLevel: "error",
  });
  const wasmName = "offshoot_core_bg.wasm";
  await copyFile(join(app.folder, "node_modules/offshoot/dist", wasmName), join(folder, wasmName));
  await writeFile(join(folder, "index.html"), "<!doctype html><title>workers</title>");
  site = await serve(folder);
  browser = await launch();
});
after(async () => {
  await browser.close();
  await site.close();
  await app.remove();
});

/** Runs in the page: starts a worker of one kind and asks it. */
async function ask(kind) {
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((done) => {
    port1.onmessage = ({ data }) => done(data);
  });
  if (kind === "dedicated") new Worker("/worker.js", { type: "module" }).postMessage(0, [port2]);
  if (kind === "shared") new SharedWorker("/worker.js", { type: "module" }).port.postMessage(0, [port2]);
  if (kind === "service") {
    await navigator.serviceWorker.register("/worker.js", { type: "module" });
    const { active } = await navigator.serviceWorker.ready;
    active.postMessage(0, [port2]);
  }
  return answer;
}

for (const kind of ["dedicated", "shared", "service"]) {
  test(`a ${kind} worker imports the package and gets an answer`, async () => {
    const page = await browser.newPage();
    await page.goto(site.url);
    assert.equal(await page.evaluate(ask, kind), expected);
    await page.close();
  });
}
