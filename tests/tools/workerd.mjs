// Starts workerd, the runtime of Cloudflare Workers, on one worker and a port of loopback.
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** The program itself, straight from its package: the one that chooses among them asks for other systems' too. */
export function findWorkerd() {
  const architecture = { x64: "64", arm64: "arm64" }[process.arch];
  if (process.platform !== "linux" || architecture === undefined) {
    throw new Error(`workerd is installed on Linux only. platform=${process.platform}, arch=${process.arch}`);
  }
  return createRequire(import.meta.url).resolve(`@cloudflare/workerd-linux-${architecture}/bin/workerd`);
}

/**
 * Serves a worker from a folder. The answer has its `url` and `stop()`, after which nothing of it runs.
 * @param {string} folder where the modules lie, and the configuration will
 * @param {string[]} files the modules' names: `.js` and `.wasm`, the first being the worker; others are left out
 * @param {string} [durableObject] a class of the worker's, bound to its environment under its own name
 */
export async function startWorkerd(folder, files, durableObject) {
  const configuration = await writeConfiguration(folder, files, durableObject);
  const stdio = ["ignore", "inherit", "inherit", "pipe"];
  const child = spawn(findWorkerd(), ["serve", "--control-fd=3", configuration], { stdio });
  const ended = new Promise((done, failed) => {
    child.once("error", failed);
    child.once("exit", done);
  });
  const port = await Promise.race([listeningPort(child.stdio[3]), ended.then(() => undefined)]);
  if (port === undefined) throw new Error("workerd ended before it listened");
  const stop = async () => {
    // At once: it would wait for requests that are under way, those too that nobody waits for any more.
    child.kill("SIGKILL");
    await ended;
  };
  return { url: `http://127.0.0.1:${port}`, stop };
}

/** workerd chooses the port, and tells it on a pipe of its own. */
async function listeningPort(pipe) {
  for await (const line of createInterface({ input: pipe })) {
    const event = JSON.parse(line);
    if (event.event === "listen") return event.port;
  }
  return undefined;
}

async function writeConfiguration(folder, files, durableObject) {
  const kinds = { js: "esModule", wasm: "wasm" };
  const known = files.map((name) => ({ name, kind: kinds[name.slice(name.lastIndexOf(".") + 1)] }));
  const modules = known
    .filter(({ kind }) => kind !== undefined)
    .map(({ name, kind }) => `(name = "${name}", ${kind} = embed "${name}")`);
  const objects =
    durableObject === undefined
      ? ""
      : `, bindings = [(name = "${durableObject}", durableObjectNamespace = "${durableObject}")],
    durableObjectNamespaces = [(className = "${durableObject}", uniqueKey = "${durableObject}")],
    durableObjectStorage = (inMemory = void)`;
  const path = join(folder, "config.capnp");
  await writeFile(
    path,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (
    compatibilityDate = "2026-01-01", modules = [${modules.join(", ")}]${objects}))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`,
  );
  return path;
}
