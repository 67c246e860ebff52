// A small static server on loopback, for the page and the tests. On the command line: node serve.mjs FOLDER [PORT].
import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";

const types = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};

/** The policy that the package must work under: no inline scripts, no eval but WebAssembly's own. */
export const strictPolicy = { "content-security-policy": "script-src 'self' 'wasm-unsafe-eval'" };

/**
 * Answers a request by itself.
 * @typedef {(request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) =>
 *   Promise<void>} Route
 */

/**
 * Serves a folder on an ephemeral port of loopback until `close()`; `await using` closes it too.
 * @param {string} folder what is served; nothing outside of it is, links included
 * @param {{ headers?: Record<string, string>, mounts?: Record<string, string>, port?: number,
 *   routes?: Record<string, Route> }} [options] headers are added to every file; mounts are further files and folders
 *   by the address under which they are served; routes answer for all that begins with their address
 */
export async function serve(folder, { headers = strictPolicy, mounts = {}, port = 0, routes = {} } = {}) {
  const places = await Promise.all(
    Object.entries({ ...mounts, "/": folder }).map(async ([address, path]) => ({
      address,
      root: await realpath(path),
    })),
  );
  const server = createServer((request, response) => {
    const route = Object.keys(routes).find((address) => request.url.startsWith(address));
    const answering = routes[route] ?? ((...both) => answer(places, headers, ...both));
    answering(request, response).catch((error) => {
      if (!response.headersSent) response.writeHead(500, { "content-type": types[".txt"] });
      response.end(String(error));
    });
  });
  await new Promise((done, failed) => server.once("error", failed).listen(port, "127.0.0.1", done));
  const close = () =>
    new Promise((done) => {
      server.close(() => done());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${server.address().port}`, close, [Symbol.asyncDispose]: close };
}

async function answer(places, headers, request, response) {
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(response, 405, "only GET and HEAD");
  const file = await locate(places, request.url);
  if (file === undefined) return refuse(response, 404, "not found");
  response.writeHead(200, {
    "content-type": types[extname(file.path)] ?? "application/octet-stream",
    "content-length": file.size,
    "cache-control": "no-cache",
    ...headers,
  });
  if (request.method === "HEAD") return response.end();
  createReadStream(file.path).on("error", () => response.destroy()).pipe(response);
}

/** The file that a request means, a folder's index.html included; undefined when there is none. */
async function locate(places, url) {
  try {
    const name = decodeURIComponent(new URL(url, "http://localhost").pathname);
    const { address, root } = places.find(({ address }) => name === address || name.startsWith(folderOf(address)));
    let path = await realpath(resolve(root, `.${sep}${name.slice(address.length)}`));
    let found = await stat(path);
    if (found.isDirectory()) {
      path = await realpath(join(path, "index.html"));
      found = await stat(path);
    }
    const inside = path === root || path.startsWith(root + sep);
    return inside && found.isFile() ? { path, size: found.size } : undefined;
  } catch {
    return undefined;
  }
}

const folderOf = (address) => (address.endsWith("/") ? address : `${address}/`);

function refuse(response, status, reason) {
  response.writeHead(status, { "content-type": types[".txt"] });
  response.end(`${reason}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, port] = process.argv.slice(2);
  if (folder === undefined) {
    console.error("usage: node serve.mjs FOLDER [PORT]");
    process.exit(1);
  }
  const { url } = await serve(folder, { port: Number(port ?? 8080) });
  console.log(`Offshoot is at ${url} (Ctrl+C ends it)`);
}
