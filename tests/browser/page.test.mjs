// The first steps of a person: import, clone, change, delete, look at the origin, reload, find everything still there.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backends, launch } from "../tools/chromium.mjs";
import { servePage } from "../tools/page.mjs";
import { confirmDialog, isReady, makeClone, openPage, rowText, says, total } from "./page.mjs";

const CLONED =
  /^draft was cloned from main in [\d.]+ m?s\. It takes [\d.]+ (bytes|KB) of its own, main \d\d\.\d MB\. Change it/;
const FIRST = "AD/Aixirivall/42.46245/1.50209";

for (const backend of backends) {
  test(`on ${backend}, what is imported, cloned, changed and deleted is all there after a reload`, async () => {
    const site = await servePage();
    const context = await launch({ backend });
    try {
      const page = await openPage(context, site.url);
      await page.locator("[data-set=cities] button.primary").click();
      // The bar moves while rows are written, and not from nothing to all.
      const shown = await page.waitForFunction(() => {
        const card = document.querySelector("[data-set=cities]");
        const value = Number(card?.querySelector("progress").getAttribute("value"));
        const rows = card?.querySelector(".note").textContent.match(/^([\d,]+) of 171,075 rows$/);
        return value > 0 && value < 1 && rows?.[1];
      });
      assert.match(await shown.jsonValue(), /^\d{1,3},\d{3}$/);
      await page.locator("#tab-rows-cities").waitFor({ timeout: 120_000 });
      await says(page, /^Places of the world: 171,075 rows imported into main in [\d.]+ s\. Clone it now/);
      const all = await total(page, "main", "cities");
      assert.equal(all, 171_075);
      await makeClone(page, "draft");
      await says(page, CLONED);

      // Change one row and delete two in the clone.
      await page.locator(`[id="row ${FIRST}"]`).click();
      const area = page.locator("dialog textarea");
      await area.fill((await area.inputValue()).replace('"name": "Aixirivall"', '"name": "Elsewhere", "big": 12n'));
      await confirmDialog(page);
      await page.getByRole("checkbox", { name: "Select AD/Canillo" }).check();
      await page.getByRole("checkbox", { name: "Select AD/Ordino" }).check();
      await page.getByRole("button", { name: "Delete 2 selected" }).click();
      await confirmDialog(page);
      await says(page, "2 rows deleted from draft. main was not touched.");

      const check = async () => {
        assert.equal(await total(page, "draft", "cities"), all - 2);
        assert.match(await rowText(page, FIRST), /"name": "Elsewhere",\n {2}"big": 12n/);
        assert.equal(await page.getByRole("checkbox", { name: "Select AD/Canillo" }).count(), 0);
        await page.locator("#tab-changes").click();
        await page.locator(".changes li").nth(2).waitFor();
        const changes = await page.locator(".changes h3").allInnerTexts();
        assert.deepEqual(
          changes.map((change) => change.split(/\s/)[0]),
          ["changed", "deleted", "deleted"],
        );
        const fields = page.locator(".changes li").first().locator(".fields");
        assert.deepEqual(await fields.locator("dt").allInnerTexts(), ["name", "big"]);
        assert.deepEqual(await fields.locator("del").allInnerTexts(), ['"Aixirivall"']);
        assert.deepEqual(await fields.locator("ins").allInnerTexts(), ['"Elsewhere"', "12n"]);
        assert.equal(await total(page, "main", "cities"), all);
        assert.match(await rowText(page, FIRST), /"name": "Aixirivall",\n {2}"lat"/);
        assert.equal(await page.getByRole("checkbox", { name: "Select AD/Canillo" }).count(), 1);
      };
      await check();
      await page.reload();
      await isReady(page);
      await check();
      assert.deepEqual(page.complaints, []);
    } finally {
      await context.close();
      await site.close();
    }
  });
}

test("features become documents by their paths, browsers KV entries; an import can be cancelled", async () => {
  const site = await servePage();
  const context = await launch();
  try {
    const page = await openPage(context, site.url);
    await page.locator("[data-set=cities] button.primary").click();
    await page.locator("[data-set=cities] .note").getByText("rows").waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await says(page, "Places of the world: cancelled. What was written before stays.");
    await page.locator("#tab-import").click();
    await page.locator("[data-set=compat] button.primary").click();
    await says(page, /^Browser compatibility: [\d,]+ rows imported into main in [\d.,]+ m?s\./);
    const features = await total(page, "main", "features");
    assert.ok(features > 10_000, `${features} features`);
    await page.getByLabel("From id").fill("api.AbortController.abort");
    await page.keyboard.press("Enter");
    const place = new RegExp(`^(?!1 ).* of ${features.toLocaleString("en")} rows$`);
    await page.locator(".place").getByText(place).waitFor();
    assert.match(await rowText(page, "api.AbortController.abort"), /"support": \{/);
    assert.ok((await total(page, "main", "browsers")) > 10);
    assert.match(await rowText(page, '\\"firefox\\"'), /"name": "Firefox"/);
    assert.deepEqual(page.complaints, []);
  } finally {
    await context.close();
    await site.close();
  }
});
