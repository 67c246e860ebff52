// Files of the profile are damaged between two starts of the browser: the store then holds what it held, or says that
// it does not. It never comes back empty, or with a part of its rows, as if nothing had happened.
import assert from "node:assert/strict";
import { cp, mkdtemp, open, readdir, rm, stat, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { backends, launch } from "../tools/chromium.mjs";
import { openTab, serveRepository } from "./browser.mjs";

const name = "damaged";

/** Changes bytes of a file in place. */
async function overwrite(file, at, change) {
  const handle = await open(file, "r+");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, at);
    await handle.write(change(buffer.subarray(0, bytesRead)), 0, bytesRead, at);
  } finally {
    await handle.close();
  }
}

const flip = (bytes) => {
  bytes[bytes.length >> 1] ^= 0x20;
  return bytes;
};

const damages = {
  "a byte flipped": async (file, { size }) => overwrite(file, Math.max(0, (size >> 1) - 2048), flip),
  "a page zeroed": async (file, { size }) => overwrite(file, (size >> 1) & ~4095, (bytes) => bytes.fill(0)),
  "truncated": async (file, { size }) => truncate(file, size >> 1),
  "deleted": async (file) => rm(file),
};

/** The files in which the browser keeps IndexedDB, below `folder`. */
async function databaseFiles(folder) {
  const found = [];
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    // Locks and the browser's own notes hold nothing of the store's.
    if (entry.isFile() && !/^(LOCK|LOG|LOG\.old)$/.test(entry.name) && (await stat(path)).size > 0) found.push(path);
  }
  return found;
}

/** Starts the browser on a profile and asks a page of it. */
async function inBrowser(profile, backend, site, ask) {
  const context = await launch({ backend, profile });
  try {
    return await ask(await openTab(context, site));
  } finally {
    await context.close();
  }
}

for (const backend of backends) {
  test(`on ${backend}: a damaged profile ends in right data or in STORAGE_CORRUPT, and repair opens it`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "offshoot-damaged-"));
    const site = await serveRepository();
    try {
      const whole = join(folder, "whole");
      const right = await inBrowser(whole, backend, site, (tab) =>
        tab.evaluate(
          async (name) => (await import("/tests/browser/pages/profile.mjs")).prepare(globalThis.offshoot, name),
          name,
        ),
      );
      const inside = join("Default", "IndexedDB");
      const files = (await databaseFiles(join(whole, inside))).map((path) => path.slice(whole.length));
      assert.ok(files.length > 0, "the profile has files to damage");
      const counts = { right: 0, told: 0, refused: 0 };
      for (const file of files) {
        for (const [kind, damage] of Object.entries(damages)) {
          const profile = join(folder, "damaged");
          await cp(whole, profile, { recursive: true });
          await damage(join(profile, file), await stat(join(profile, file)));
          const { found, message, repaired } = await inBrowser(profile, backend, site, (tab) =>
            tab.evaluate(
              async (name) => (await import("/tests/browser/pages/profile.mjs")).survey(globalThis.offshoot, name),
              name,
            ),
          );
          const where = `${file}, ${kind}`;
          const is = found.startsWith("[") && found !== right ? `${found.length} of ${right.length} letters` : found;
          // Some damage keeps the browser itself from opening any database, and a full disk looks just the same to a
          // page: nothing is lost yet, so it is not called damage.
          if (found === "STORAGE_UNAVAILABLE" && message.includes("opening backing store")) {
            counts.refused++;
            await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
            continue;
          }
          if (found === right) counts.right++;
          else counts.told++;
          const told = `${where}: ${is.slice(0, 80)}. message=${message}`;
          assert.ok(found === right || found === "STORAGE_CORRUPT", told);
          assert.equal(repaired, "repair", `${where}: repaired, it takes writes`);
          await rm(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
        }
      }
      assert.ok(counts.told > 0, "some damage was met");
      const { right: harmless, told, refused } = counts;
      const figures = `told ${told} times, harmless ${harmless}, refused by the browser ${refused}`;
      t.diagnostic(`${files.length} files: ${figures}`);
    } finally {
      await site.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }
  });
}
