// Starts the Firefox of this machine for a test, and leads it over WebDriver BiDi.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { findProgram } from "./find.mjs";

const find = () => findProgram("firefox-esr", "firefox");

/** Says in words that Firefox is not installed; undefined if it is. */
export const missing = () => (find() === undefined ? "Firefox is not installed" : undefined);

/**
 * A browser with `openTab(url)` and `close()`. Closing removes a profile that was made here; one that was passed in
 * stays, to be opened again.
 * `prefs` are settings of Firefox, as on its page about:config.
 * @param {{ profile?: string, prefs?: Record<string, unknown> }} [options]
 */
export async function launch({ profile, prefs = {} } = {}) {
  const folder = profile ?? (await mkdtemp(join(tmpdir(), "offshoot-firefox-")));
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: find(),
    headless: true,
    userDataDir: folder,
    extraPrefsFirefox: prefs,
  });
  return {
    async openTab(url) {
      const page = await browser.newPage();
      await page.goto(url);
      return {
        evaluate: (work, ...args) => page.evaluate(work, ...args),
        reload: () => page.reload(),
        close: () => page.close(),
      };
    },
    async close() {
      await browser.close();
      if (profile === undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
