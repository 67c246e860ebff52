// Code that the tests of other engines share: it runs them in each engine, serves the repository under the strict
// policy and opens tabs.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import * as firefox from "../tools/firefox.mjs";
import { Lead } from "../tools/lead.mjs";
import { serve } from "../tools/serve.mjs";
import * as webkit from "../tools/webkit.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** `keeps`: a profile can be opened again. WebKit's private windows are another implementation of IndexedDB: memory. */
const engines = [
  { name: "Firefox", missing: firefox.missing(), launch: firefox.launch, keeps: true },
  { name: "WebKitGTK", missing: webkit.missing(), launch: webkit.launch, keeps: true },
  { name: "a private window of WebKitGTK", missing: webkit.missing(), launch: webkit.launchPrivate, keeps: false },
];

/** Milliseconds after which a page that never answers fails its test. */
const timeout = 180_000;

/**
 * Declares the same tests for each engine. `declare` gets an object with `keeps`, whose `tab()` and `restart()` are
 * there once the tests run; and what to declare tests with, in place of node's: where the engine is not installed they
 * are skipped, and say what is missing. A browser that is installed and does not start is a failure.
 */
export function onEachEngine(declare) {
  for (const { name, missing, launch, keeps } of engines) {
    describe(`in ${name}`, () => {
      const browser = { keeps };
      if (missing === undefined) startAndStop(browser, launch);
      declare(browser, (promise, run) => test(promise, { skip: missing ?? false, timeout }, run));
    });
  }
}

function startAndStop(browser, launch) {
  const lead = new Lead();
  let profile;
  let site;
  let running;
  browser.tab = async () => {
    const tab = await running.openTab(`${site.url}/tests/engines/pages/tab.html`);
    await loaded(tab);
    return tab;
  };
  /** Ends the browser and starts it anew on the same profile. Tabs of before are gone. */
  browser.restart = async () => {
    await running.close();
    running = await launch({ lead, profile });
  };
  before(async () => {
    profile = await mkdtemp(join(tmpdir(), "offshoot-engine-"));
    site = await serve(root, { routes: lead.routes });
    running = await launch({ lead, profile });
  });
  after(async () => {
    await running?.close();
    await site?.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
}

/** Resolves once the tab has loaded the package, which may come after the page counts as loaded. */
async function loaded(tab) {
  await tab.evaluate(() => {
    globalThis.uncaught = [];
    addEventListener("error", ({ message }) => globalThis.uncaught.push(message));
    addEventListener("unhandledrejection", ({ reason }) => globalThis.uncaught.push(String(reason)));
  });
  await sees(tab, () => document.title, "ready");
}

/** Fails if an app would have heard, since the tab was loaded, of an error that nobody caught. */
export async function caughtAll(tab) {
  assert.deepEqual(await tab.evaluate(() => globalThis.uncaught), []);
}

/** Loads a tab anew; nothing that it had in memory is left. */
export async function reload(tab) {
  await tab.reload();
  await loaded(tab);
}

/** Opens the store in a tab as `db`, and leaves it open. */
export async function openIn(tab, name) {
  await tab.evaluate(async (name) => {
    globalThis.db = await globalThis.open(name);
  }, name);
}

/** How often a tab is asked for what it is yet to see, every so many milliseconds. */
const [asks, pause] = [1000, 20];

/** Resolves when `read`, run in the tab, gives what is expected; until then it is asked again. */
export async function sees(tab, read, expected) {
  let found;
  for (let n = 0; n < asks; n++) {
    found = await tab.evaluate(read);
    if (isDeepStrictEqual(found, expected)) return;
    await setTimeout(pause);
  }
  assert.deepEqual(found, expected);
}

let stores = 0;

/** A name that no other test of this run has. */
export const storeName = () => `store-${process.pid}-${stores++}`;
