// An empty app in a temporary folder, with the package installed as a user would have it: from the tarball, offline.
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const packageFolder = fileURLToPath(new URL("../../pkg", import.meta.url));
/** The folder of this repository's own tools, which the app borrows instead of installing them. */
export const tools = fileURLToPath(new URL("../node_modules", import.meta.url));

/** The answer of `example()` wherever it runs. */
export const expected = "water the plants: false here, true in the draft";

/** Packs the package and installs it; the answer is the app's folder, what was packed, and `remove()`. */
export async function installApp() {
  const folder = await mkdtemp(join(tmpdir(), "offshoot-app-"));
  const packed = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: packageFolder });
  const tarball = readReport(packed.stdout);
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${tarball.filename}`], { cwd: folder });
  await copyFile(new URL("example.mjs", import.meta.url), join(folder, "example.mjs"));
  return { folder, tarball, remove: () => rm(folder, { recursive: true, maxRetries: 5 }) };
}

/** npm reports a list, and newer ones an object by package name: the one package's entry either way. */
function readReport(text) {
  const [entry] = Object.values(JSON.parse(text));
  return entry;
}

/** A page that runs the example and shows in its title what came of it. */
export async function writePage(folder) {
  const script = `<script type="module" src="/main.js"></script>`;
  await writeFile(join(folder, "index.html"), `<!doctype html><title>waiting</title>${script}`);
  await writeFile(
    join(folder, "main.js"),
    `import { example } from "./example.mjs";
example().then(
  (answer) => { document.title = answer; },
  (error) => { document.title = "failed: " + (error?.message ?? JSON.stringify(error)); },
);
`,
  );
}

/** Opens a page, waits for its answer, and tells also what it loaded: the path of every request. */
export async function visit(browser, url) {
  const page = await browser.newPage();
  const requests = [];
  const complaints = [];
  page.on("request", (request) => requests.push(new URL(request.url()).pathname));
  page.on("pageerror", (error) => complaints.push(String(error)));
  try {
    await page.goto(url);
    await page.waitForFunction(() => document.title !== "waiting", undefined, { timeout: 30_000 }).catch((error) => {
      throw new Error(`the page gave no answer. complaints=${JSON.stringify(complaints)}`, { cause: error });
    });
    return { answer: await page.title(), requests };
  } finally {
    await page.close();
  }
}
