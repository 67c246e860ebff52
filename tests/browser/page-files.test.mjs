// A database goes to a file and comes from one in the page; a clone becomes one that stands alone; space comes back.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, beforeEach, describe, test } from "node:test";
import { backends, launch } from "../tools/chromium.mjs";
import { servePage } from "../tools/page.mjs";
import { confirmDialog, fill, inStore, makeClone, openPage, says, total } from "./page.mjs";

for (const backend of backends) {
  describe(`files and space in the page, on ${backend}`, () => {
    let site;
    let context;
    let page;
    before(async () => {
      site = await servePage();
    });
    beforeEach(async () => {
      await context?.close();
      context = await launch({ backend });
      // Without it the browser downloads; a test can't work the browser's own chooser.
      await context.addInitScript(() => delete window.showSaveFilePicker);
      page = await openPage(context, site.url);
      await fill(page);
    });
    after(async () => {
      await context?.close();
      await site?.close();
    });

    const show = async (tab) => {
      await page.locator(`#tab-${tab}`).click();
      await page.locator(`#tab-${tab}[aria-current]`).waitFor();
    };
    /** The bytes of an export of the database that is shown. */
    async function exported() {
      await show("import");
      const downloading = page.waitForEvent("download");
      await page.locator("#export").click();
      const download = await downloading;
      return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
    }
    const choose = (name, bytes) =>
      page
        .locator("[data-card=import] input[type=file]")
        .setInputFiles({ name, mimeType: "application/octet-stream", buffer: bytes });

    test("an export is imported into another database, and replaces rows only when asked to", async () => {
      const { name, bytes } = await exported();
      assert.equal(name, "main.offshoot");
      await says(page, /^main: 123 rows, [\d.]+ KB, exported to main\.offshoot in [\d.]+ m?s\.$/);
      await inStore(page, ({ main }) => main.collection("things").update("row-1000", { name: "later" }));
      await choose("main.offshoot", bytes);
      await page.locator("#problem").getByText("tick Replace to write over it").waitFor();
      await page.locator("#problem strong").getByText("KEY_EXISTS").waitFor();
      await page.getByRole("checkbox", { name: "Replace rows that are here already" }).check();
      await choose("main.offshoot", bytes);
      await says(page, /^main\.offshoot: 120 documents and 3 KV entries imported into main in/);
      const name0 = await inStore(page, async ({ main }) => (await main.collection("things").get("row-1000")).name);
      assert.equal(name0, "Name 0");
      // A file that was dropped upon the card is taken as well.
      await page.locator("[data-card=import]").evaluate((card, text) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], "dropped.offshoot"));
        const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
        for (const kind of ["dragover", "drop"]) card.dispatchEvent(new DragEvent(kind, options));
      }, bytes.toString("base64"));
      await says(page, /^dropped\.offshoot: 120 documents/);
      assert.deepEqual(page.complaints, []);
    });

    test("a damaged file is told with the frame that is wrong, and leaves nothing", async () => {
      const { bytes } = await exported();
      bytes[bytes.length - 40] ^= 1;
      await makeClone(page, "draft");
      await show("import");
      await page.getByRole("checkbox", { name: "Replace rows that are here already" }).check();
      await choose("damaged.offshoot", bytes);
      await page.locator("#problem strong").getByText("INVALID_IMPORT").waitFor();
      const words = await page.locator("#problem").innerText();
      assert.match(words, /damaged\.offshoot: .+ frame=\d+, offset=\d+\. Nothing of it was written/);
      await show("changes");
      await page.getByText("draft has changed nothing").waitFor();
      assert.deepEqual(page.complaints, []);
    });

    test("an export into a chosen file and an import can be aborted; the button keeps the focus", async () => {
      const { bytes } = await exported();
      await page.evaluate(() => {
        // A slow disk: it is at the first piece while the person aborts. A stream ends only between two pieces.
        const write = () => new Promise((resolve) => (window.finishPiece = resolve));
        const sink = { write, abort: () => void (window.isFileAborted = true) };
        window.showSaveFilePicker = async () => ({ createWritable: async () => new WritableStream(sink) });
      });
      const card = (name) => page.locator(`[data-card=${name}]`);
      await page.locator("#export").focus();
      await page.keyboard.press("Enter");
      await card("export").getByRole("button", { name: "Abort" }).waitFor();
      await page.waitForFunction(() => document.activeElement.textContent === "Abort");
      await page.keyboard.press("Enter");
      await page.evaluate(() => window.finishPiece());
      await says(page, "The export of main was aborted.");
      assert.equal(await page.evaluate(() => window.isFileAborted), true);
      await page.waitForFunction(() => document.activeElement.id === "export");

      await page.evaluate(() => {
        File.prototype.stream = function () {
          const first = this.slice(0, 100).arrayBuffer();
          return new ReadableStream({ start: async (to) => to.enqueue(new Uint8Array(await first)) });
        };
      });
      await choose("endless.offshoot", bytes);
      await card("import").getByRole("button", { name: "Abort" }).click();
      await says(page, "The import of endless.offshoot was aborted. Nothing of it was written.");
      assert.deepEqual(page.complaints, []);
    });

    /** Adds many rows, so that an export or import of them takes long enough to be seen under way. */
    const fillMore = () =>
      inStore(page, async ({ main }) => {
        const text = "x".repeat(60);
        const rows = Array.from({ length: 100_000 }, (_, n) => ({ id: `m${n}`, text }));
        for (let from = 0; from < rows.length; from += 5000) {
          await main.collection("many").putMany(rows.slice(from, from + 5000));
        }
      });

    test("a clone is materialized with a bar, aborted, gone on with, and stands alone then", async () => {
      await fillMore();
      await makeClone(page, "draft");
      await page.locator("#materialize").click();
      await confirmDialog(page);
      const panel = page.locator(".copying");
      await panel.locator(".note").getByText(/^[\d,]+ of 100,\d{3} rows, /).waitFor();
      await panel.getByRole("button", { name: "Abort" }).click();
      await panel.getByText(/rows, .* copied so far\. Aborted\./).waitFor();
      assert.ok(Number(await panel.locator("progress").getAttribute("value")) < 1);
      await panel.getByRole("button", { name: "Go on" }).click();
      await says(page, /^draft is materialized: 100,\d{3} rows, .* It stands alone now\.$/);
      await page.locator(".about").getByText("Materialized: it stands alone").waitFor();
      assert.equal(await page.locator("#materialize:visible, #tab-changes").count(), 0);
      await page.locator("#database-draft[aria-label^='draft, materialized']").waitFor();
      assert.equal(await total(page, "draft", "many"), 100_000);
      assert.deepEqual(page.complaints, []);
    });

    test("a clone is materialized in the background, has a time to live, and is dropped by force", async () => {
      await fillMore();
      await page.locator("#clone").click();
      await page.locator("dialog input").fill("draft");
      await page.locator("dialog").getByLabel("Rows").selectOption("background");
      await page.locator("dialog").getByLabel("It lives").selectOption("1h");
      await confirmDialog(page);
      await page.locator(".about").getByText(/It goes by itself after/).waitFor();
      await page.locator(".copying .note").getByText(/^[\d,]+ of 100,\d{3} rows, .* copied so far/).waitFor();
      await page.locator(".about").getByText("Materialized: it stands alone").waitFor();
      await makeClone(page, "of-draft");
      await page.locator("#database-draft").click();
      await page.getByRole("heading", { name: "draft", exact: true }).waitFor();
      await page.locator("#drop").click();
      await page.getByText("1 clone depends on it: of-draft. It is materialized first").waitFor();
      await page.getByRole("button", { name: "Materialize and drop" }).click();
      await says(page, "of-draft was materialized. draft was dropped.");
      assert.equal(await page.locator("#database-draft").count(), 0);
      assert.equal(await total(page, "of-draft", "things"), 120);
      assert.deepEqual(page.complaints, []);
    });

    test("compacting shows each figure that changed with what it was before", async () => {
      await show("figures");
      await page.locator("#compact").click();
      await says(page, /^Compacted in [\d.]+ m?s: .* were given back\. /);
      const log = page.locator("[data-figure=logEntries]");
      assert.match(await log.innerText(), /0\s+before: \d+/);
      await page.getByRole("button", { name: "Refresh" }).click();
      await page.locator(".before").first().waitFor({ state: "detached" });
      assert.deepEqual(page.complaints, []);
    });
  });
}
