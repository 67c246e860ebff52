// Starts the Chromium of this machine for a test, on either of its two IndexedDB backends.
import { mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { findProgram } from "./find.mjs";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Chromium's backends of IndexedDB: the one of today and the one to come. Every test of storage runs on both. */
export const backends = ["leveldb", "sqlite"];

const steady = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The first Chromium on the PATH. */
export function findChromium() {
  const path = findProgram(...names);
  if (path === undefined) throw new Error(`no Chromium on the PATH, looked for ${names.join(", ")}: run 'make setup'`);
  return path;
}

/**
 * A browser with a profile of its own. The answer is Playwright's persistent context, with `profile` added, its folder.
 * Closing removes a profile that was made here; one that was passed in stays, to be opened again.
 * @param {{ backend?: "leveldb" | "sqlite", profile?: string, args?: string[] }} [options]
 */
export async function launch({ backend = "leveldb", profile, args = [] } = {}) {
  if (!backends.includes(backend)) throw new Error(`no such IndexedDB backend. backend=${JSON.stringify(backend)}`);
  const folder = profile ?? (await mkdtemp(join(tmpdir(), "offshoot-profile-")));
  const feature = backend === "sqlite" ? ["--enable-features=IdbSqliteBackingStore"] : [];
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: findChromium(),
    headless: true,
    args: [...steady, ...feature, ...args],
  });
  if (profile === undefined) {
    const close = context.close.bind(context);
    context.close = async (options) => {
      await close(options);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    };
  }
  return Object.assign(context, { profile: folder });
}

/** The process of the browser that has this profile open, for tests that kill it. */
export async function processId(profile) {
  // Chromium locks a profile with a link to "host-process".
  const owner = await readlink(join(profile, "SingletonLock"));
  return Number(owner.slice(owner.lastIndexOf("-") + 1));
}

/** The backend that a profile's databases are really on. Chromium's flags change, but the files that it wrote tell. */
export async function usedBackend(profile) {
  const origins = await readdir(join(profile, "Default", "IndexedDB"));
  if (origins.length === 0) throw new Error(`no database was made in this profile. profile=${JSON.stringify(profile)}`);
  return origins.some((name) => name.endsWith(".leveldb")) ? "leveldb" : "sqlite";
}
