// Code that the browser tests share: it runs them on each backend, serves the repository under the strict policy and
// opens tabs.
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";
import { backends, launch } from "../tools/chromium.mjs";
import { serve } from "../tools/serve.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The repository at an address of loopback: the package, the pages of the tests, the real data. */
export const serveRepository = () => serve(root);

/** A page that has loaded the package and said so. */
export async function openTab(context, site) {
  const page = await context.newPage();
  await loadTab(page, site);
  return page;
}

/** Loads the app into a page, or loads it anew. */
export async function loadTab(page, site) {
  await page.goto(`${site.url}/tests/browser/pages/tab.html`);
  await page.waitForFunction(() => document.title === "ready");
}

/** Opens the store in a tab as `db`, and leaves it open. */
export async function openIn(tab, name) {
  await tab.evaluate(async (name) => {
    globalThis.db = await globalThis.open(name);
  }, name);
}

/** Resolves when `read`, run in the tab with its `db`, gives what is expected; until then it is asked again. */
export async function sees(tab, read, expected) {
  const text = JSON.stringify(JSON.stringify(expected));
  const asked = `(async () => JSON.stringify(await (${read})(globalThis.db)) === ${text})()`;
  await tab.waitForFunction(asked, undefined, { polling: 20 });
}

/**
 * Declares the same tests for each backend. `declare` gets an object whose `context`, `site` and `tab()` are there once
 * the tests run. Tabs that a test leaves open are closed with the browser.
 */
export function onEachBackend(declare, options = {}) {
  for (const backend of backends) {
    describe(`on ${backend}`, () => {
      const browser = { backend };
      before(async () => {
        browser.site = await serveRepository();
        browser.context = await launch({ backend, ...options });
        browser.tab = () => openTab(browser.context, browser.site);
      });
      after(async () => {
        await browser.context?.close();
        await browser.site?.close();
      });
      declare(browser);
    });
  }
}

let stores = 0;

/** A name that no other test of this run has. */
export const storeName = () => `store-${process.pid}-${stores++}`;
