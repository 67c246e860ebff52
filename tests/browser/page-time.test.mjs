// Moments of the past in the page: chosen, looked at, compared with now, and restored.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { launch } from "../tools/chromium.mjs";
import { servePage } from "../tools/page.mjs";
import { confirmDialog, fill, inStore, isReady, makeClone, openPage, rowText, says, total } from "./page.mjs";

describe("the past in the page", () => {
  let site;
  let context;
  let page;
  before(async () => {
    site = await servePage();
  });
  beforeEach(async () => {
    await context?.close();
    context = await launch();
    page = await openPage(context, site.url);
    await fill(page);
  });
  after(async () => {
    await context?.close();
    await site?.close();
  });

  const isPast = () => page.locator(".past").waitFor();
  const isNow = () => page.locator(".past").waitFor({ state: "hidden" });
  const pause = (time) => page.evaluate((time) => new Promise((resolve) => setTimeout(resolve, time)), time);
  const write = async (name) => {
    await inStore(page, ({ main }, name) => main.collection("things").update("row-1005", { name }), name);
    await pause(20);
  };

  test("goes from change to change of this database, back and on again", async () => {
    await makeClone(page, "aside");
    await total(page, "main", "things");
    await write("first");
    await write("second");
    // A commit of another database of the store is no change of this one, so the page must skip it.
    await inStore(page, ({ aside }) => aside.collection("things").update("row-1005", { name: "aside" }));
    await pause(20);
    await page.locator("#moment").click();
    await page.locator("#moment-earlier").click();
    await isPast();
    assert.match(await rowText(page, "row-1005"), /"name": "first"/);
    await page.locator("#moment-earlier").click();
    await page.locator(".past").getByText(/As it was at/).waitFor();
    await page.waitForFunction(() => document.activeElement.id === "moment-earlier");
    assert.match(await rowText(page, "row-1005"), /"name": "Name 5"/);
    await page.locator("#moment-later").click();
    await page.locator("#tab-rows-settings").click();
    await page.locator('[id="row \\"size\\""]').waitFor();
    await page.locator("#tab-rows-things").click();
    await page.locator('[id="row row-1005"]').waitFor();
    assert.match(await rowText(page, "row-1005"), /"name": "first"/);
    await page.locator("#moment-later").click();
    await isNow();
    assert.match(await rowText(page, "row-1005"), /"name": "second"/);
    assert.deepEqual(page.complaints, []);
  });

  test("slides to a moment by the keyboard, which is marked as read only", async () => {
    await pause(2100);
    await write("later");
    await page.locator("#moment").focus();
    await page.keyboard.press("Enter");
    const slider = page.locator("#moment-slider");
    await page.locator(".bounds").getByText("(main was made) to now.").waitFor();
    assert.equal(await slider.getAttribute("aria-valuetext"), "now");
    await slider.focus();
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("ArrowLeft");
    await isPast();
    assert.equal(await page.evaluate(() => document.activeElement.id), "moment-slider");
    await page.locator(".past .mark").getByText("Read only").waitFor();
    assert.match(await rowText(page, "row-1005"), /"name": "Name 5"/);
    for (const id of ["drop", "materialize", "undo"]) assert.equal(await page.locator(`#${id}:visible`).count(), 0, id);
    assert.equal(await page.getByRole("button", { name: "New row" }).count(), 0);
    await slider.focus();
    await page.keyboard.press("End");
    await isNow();
    assert.equal(await page.evaluate(() => document.activeElement.id), "moment-slider");
    assert.match(await rowText(page, "row-1005"), /"name": "later"/);
    assert.deepEqual(page.complaints, []);
  });

  test("compares a moment with now, and restores it with the present kept as a clone", async () => {
    await write("later");
    await inStore(page, async ({ main }) => {
      await main.collection("things").delete("row-1006");
      await main.kv("settings").set("new", true);
    });
    await pause(20);
    await page.locator("#moment").click();
    for (const words of ["1 row of main", "2 rows of main", "3 rows of main"]) {
      await page.locator("#moment-earlier").click();
      await isPast();
      await page.locator("#tab-since").click();
      await page.locator(".summary").getByText(words).waitFor();
    }
    const changes = await page.locator(".changes h3").allInnerTexts();
    assert.deepEqual(
      changes.map((change) => change.split(/\s+/).slice(0, 2).join(" ")),
      ['inserted "new"', "changed row-1005", "deleted row-1006"],
    );
    await page.locator("#restore").click();
    await page.locator("dialog").getByLabel("Name of the clone").fill("kept");
    await confirmDialog(page);
    await says(page, /^main is as it was at .*\. The present is kept as kept\.$/);
    await isNow();
    assert.equal(await total(page, "main", "settings"), 3);
    assert.equal(await total(page, "main", "things"), 120);
    assert.match(await rowText(page, "row-1005"), /"name": "Name 5"/);
    assert.equal(await total(page, "kept", "settings"), 4);
    assert.equal(await total(page, "kept", "things"), 119);
    assert.match(await rowText(page, "row-1005"), /"name": "later"/);
    assert.deepEqual(page.complaints, []);
  });

  test("goes back no further than history does, and says so", async () => {
    const hours = 3 * 3600_000;
    // Two openings have to agree about the time before anything is given back: one clock may be wrong.
    for (const opening of [1, 2]) {
      await page.clock.setSystemTime(Date.now() + hours * opening);
      await page.reload();
      await isReady(page);
      for (const name of ["a", "b", "c"]) await write(name);
      await page.locator("#tab-figures").click();
      await page.locator("#compact").click();
      await says(page, /^Compacted in/);
    }
    await page.locator("#moment").click();
    await page.locator(".bounds").getByText("(history before it was given back) to now.").waitFor();
    await page.locator("#moment-slider").focus();
    await page.keyboard.press("Home");
    await isPast();
    // The oldest that is held is what was there when the retention began.
    await page.locator("#tab-rows-things").click();
    assert.match(await rowText(page, "row-1005"), /"name": "Name 5"/);
    assert.equal(await page.locator("#problem").isVisible(), false);
  });
});
