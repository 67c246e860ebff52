// The tools that the browser tests stand on do what they say.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { backends, launch, processId, usedBackend } from "./chromium.mjs";
import { serve } from "./serve.mjs";

let folder;
let site;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "offshoot-site-"));
  await mkdir(join(folder, "public"));
  await writeFile(join(folder, "secret.txt"), "not served");
  const page = "<title>served</title><script>document.title = 'inline'</script>";
  await writeFile(join(folder, "public", "index.html"), page);
  await writeFile(join(folder, "public", "core.wasm"), "");
  await symlink(join(folder, "secret.txt"), join(folder, "public", "link.txt"));
  site = await serve(join(folder, "public"));
});
after(async () => {
  await site.close();
  await rm(folder, { recursive: true });
});

for (const backend of backends) {
  test(`a browser asked for ${backend} stores its databases there`, async () => {
    const browser = await launch({ backend });
    try {
      const page = await browser.newPage();
      await page.goto(site.url);
      await page.evaluate(
        () =>
          new Promise((opened, failed) => {
            const request = indexedDB.open("probe", 1);
            request.onsuccess = () => opened();
            request.onerror = () => failed(request.error);
          }),
      );
      assert.equal(await usedBackend(browser.profile), backend);
      process.kill(await processId(browser.profile), 0);
    } finally {
      await browser.close();
    }
    assert.equal(existsSync(browser.profile), false, "the profile was made for this test and is gone with it");
  });
}

test("an unknown backend is refused", async () => {
  await assert.rejects(launch({ backend: "paper" }), /no such IndexedDB backend\. backend="paper"/);
});

test("the server sends the policy under which an inline script does not run", async () => {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    await page.goto(site.url);
    assert.equal(await page.title(), "served");
  } finally {
    await browser.close();
  }
});

test("the server names the type of WebAssembly and answers nothing from outside of its folder", async () => {
  const found = await fetch(`${site.url}/core.wasm`);
  assert.equal(found.headers.get("content-type"), "application/wasm");
  for (const path of ["/link.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/missing.txt", "/%"]) {
    assert.equal((await fetch(site.url + path)).status, 404, path);
  }
  assert.equal((await fetch(site.url, { method: "POST" })).status, 405);
});
