// Starts the WebKitGTK of this machine for a test, on a screen that nobody sees, and leads it over WebDriver.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { findProgram } from "./find.mjs";
import { beginSession } from "./webdriver.mjs";

/** WebKit's own small browser is no program for people and lies beside the library: no PATH leads there. */
function findMiniBrowser() {
  const libraries = "/usr/lib";
  const folders = readdirSync(libraries).flatMap((name) => {
    const inside = join(libraries, name);
    const kinds = name.endsWith("-linux-gnu") ? readdirSync(inside) : [];
    return kinds.filter((kind) => kind.startsWith("webkit2gtk-4.")).map((kind) => join(inside, kind));
  });
  return folders.map((folder) => join(folder, "MiniBrowser")).find((path) => existsSync(path));
}

/** Names the program that this machine lacks to run WebKitGTK; undefined when none is missing. */
export function missing() {
  if (findMiniBrowser() === undefined) return "WebKitGTK's MiniBrowser is not installed";
  if (findProgram("WebKitWebDriver") === undefined) return "WebKitWebDriver is not installed";
  if (findProgram("Xvfb") === undefined) return "Xvfb, the screen that WebKitGTK draws on, is not installed";
  return undefined;
}

/** Starts a program that runs until `stop()`; then nothing of it runs, nor of what it started. */
function start(program, args, options) {
  const child = spawn(program, args, options);
  // All that it starts inherits its output, which is closed when the last of them has ended.
  const ended = new Promise((done) => child.once("close", done));
  child.stdout.resume();
  const failed = once(child, "exit").then(([code]) => {
    throw new Error(`${program} ended. code=${code}`);
  });
  failed.catch(() => undefined);
  const stop = async () => {
    child.kill();
    await ended;
  };
  return { child, failed, stop };
}

/** An X server on a display that is free. */
async function startScreen() {
  const args = ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"];
  const screen = start(findProgram("Xvfb"), args, { stdio: ["ignore", "pipe", "ignore", "pipe"] });
  const [number] = await Promise.race([once(screen.child.stdio[3], "data"), screen.failed]);
  return { ...screen, display: `:${String(number).trim()}` };
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}

/** WebKit's driver, once it listens. */
async function startDriver(environment) {
  const port = await freePort();
  const options = { env: environment, stdio: ["ignore", "pipe", "inherit"] };
  const driver = start(findProgram("WebKitWebDriver"), [`--port=${port}`], options);
  const url = `http://127.0.0.1:${port}`;
  const isListening = () => fetch(`${url}/status`).then(({ ok }) => ok, () => false);
  while (!(await Promise.race([isListening(), driver.failed]))) await setTimeout(20);
  return { ...driver, url };
}

/** Things that were started, to be ended in the opposite order. */
class Started {
  #ends = [];

  /** Waits for something to start, and knows how to end it from then on. */
  async add(starting, end) {
    const thing = await starting;
    this.#ends.push(() => end(thing));
    return thing;
  }

  async end() {
    for (const end of this.#ends.splice(0).reverse()) await end();
  }

  /** Gives the answer of `begin`. If `begin` fails, everything that it had started is ended. */
  static async all(begin) {
    const started = new Started();
    try {
      return await begin(started);
    } catch (error) {
      await started.end();
      throw error;
    }
  }
}

const stop = (program) => program.stop();

/** The environment of one browser: a screen and a home of its own. A home that was passed in stays. */
async function startPlace(started, profile) {
  const remove = (folder) => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  const home = profile ?? (await started.add(mkdtemp(join(tmpdir(), "offshoot-webkit-")), remove));
  const { display } = await started.add(startScreen(), stop);
  const folders = { HOME: home, XDG_CACHE_HOME: undefined, XDG_CONFIG_HOME: undefined, XDG_DATA_HOME: undefined };
  return { ...process.env, ...folders, DISPLAY: display, NO_AT_BRIDGE: "1" };
}

/**
 * A browser with `openTab(url)` and `close()`, led over WebDriver. Such a one keeps its data in memory, as a private
 * window does: it has no profile that could be opened again.
 */
export function launchPrivate() {
  return Started.all(async (started) => {
    const environment = await startPlace(started);
    const { url } = await started.add(startDriver(environment), stop);
    const capabilities = { "webkitgtk:browserOptions": { binary: findMiniBrowser(), args: ["--automation"] } };
    const session = await started.add(beginSession(url, capabilities), (session) => session.end());
    return { openTab: (url) => session.openTab(url), close: () => started.end() };
  });
}

/** Tabs of a browser that nobody leads can be opened from its command line alone: so many are. */
const tabNames = ["1", "2", "3"];

/**
 * A browser that keeps its data on disk: `openTab(url)`, and `close()`, which leaves a profile that was passed in to be
 * opened again. It begins with the first tab. Its pages must load led.mjs and come from a server with the routes of
 * `lead`.
 * @param {{ lead: import("./lead.mjs").Lead, profile?: string }} options
 */
export function launch({ lead, profile }) {
  return Started.all(async (started) => {
    const env = await startPlace(started, profile);
    let free;
    const begin = async (url) => {
      const loaded = Promise.all(tabNames.map((name) => lead.loaded(name)));
      const urls = tabNames.map((name) => `${url}?led=${name}`);
      const browser = start(findMiniBrowser(), urls, { env, stdio: ["ignore", "pipe", "inherit"] });
      await started.add(browser, (browser) => {
        lead.dismiss();
        return browser.stop();
      });
      await Promise.race([loaded, browser.failed]);
      return [...tabNames];
    };
    const openTab = async (url) => {
      free ??= await begin(url);
      const name = free.shift();
      if (name === undefined) throw new Error(`there are only so many tabs. count=${tabNames.length}`);
      return tabOf(lead, name, () => free.push(name));
    };
    return { openTab, close: () => started.end() };
  });
}

function tabOf(lead, name, release) {
  const reload = async () => {
    const loaded = lead.loaded(name);
    // The page that is left may have no time to say that it did as it was told.
    await Promise.race([lead.evaluate(name, () => location.reload()).then(() => loaded), loaded]);
  };
  const close = async () => {
    await reload();
    release();
  };
  return { evaluate: (work, ...args) => lead.evaluate(name, work, ...args), reload, close };
}
