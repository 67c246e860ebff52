// The page as a person uses it: by mouse, by keyboard alone, on a narrow screen, and when something goes wrong.
import assert from "node:assert/strict";
import { test } from "node:test";
import { backends, launch } from "../tools/chromium.mjs";
import { servePage } from "../tools/page.mjs";

const FIRST = "AD/Aixirivall/42.46245/1.50209";
const text = (page, selector) => page.locator(selector).innerText();

/** The page in a tab of its own; whatever it complains about is collected in `complaints`. */
async function openPage(context, url) {
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.complaints.push(message.text());
  });
  await page.goto(url);
  await isReady(page);
  return page;
}

const isReady = (page) => page.locator("html[data-ready]").waitFor();

async function show(page, url, hash) {
  await page.goto(`${url}/${hash}`);
  await isReady(page);
}

/** How many rows a collection of a database has, by way of its view. */
async function total(page, database, collection) {
  await page.locator(`[id="database-${database}"]`).click();
  await page.getByRole("heading", { name: database, exact: true }).waitFor();
  await page.locator(`#tab-rows-${collection}`).click();
  await page.locator(`#tab-rows-${collection}[aria-current]`).waitFor();
  return Number(await page.locator(".place[data-total]").getAttribute("data-total"));
}

const rowText = async (page, id) => {
  await page.locator(`[id="row ${id}"]`).click();
  const written = await page.locator("dialog textarea").inputValue();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  return written;
};

async function confirmDialog(page) {
  await page.locator("dialog button[type=submit]").click();
  await page.locator("dialog").waitFor({ state: "detached" });
}

async function makeClone(page, name) {
  await page.locator("#clone").click();
  await page.locator("dialog input").fill(name);
  await confirmDialog(page);
  await page.getByRole("heading", { name, exact: true }).waitFor();
}

/** A few documents and entries in the page's own store, without an import. */
async function fill(page) {
  await page.evaluate(async () => {
    const { open } = await import("./offshoot/browser.js");
    const db = await open("offshoot-demo");
    const rows = Array.from({ length: 120 }, (_, n) => ({ id: `row-${1000 + n}`, name: `Name ${n}`, count: n }));
    await db.collection("things").putMany(rows);
    await db.kv("settings").setMany([
      ["size", 12n],
      ["since", new Date(0)],
      [["a", 1], { deep: [null, -0] }],
    ]);
    await db.close();
  });
  await page.reload();
  await page.locator("#tab-rows-things").click();
  await page.locator('[id="row row-1000"]').waitFor();
}

for (const backend of backends) {
  test(`on ${backend}, what is imported, cloned, changed and deleted is all there after a reload`, async () => {
    const site = await servePage();
    const context = await launch({ backend });
    try {
      const page = await openPage(context, site.url);
      await page.locator("[data-set=cities] button.primary").click();
      // The bar moves while rows are written, and not from nothing to all.
      const part = await page.waitForFunction(() => {
        const value = document.querySelector("[data-set=cities] progress")?.getAttribute("value");
        return Number(value) > 0 && Number(value) < 1 ? value : undefined;
      });
      assert.ok(Number(await part.jsonValue()) > 0);
      await page.locator("#tab-rows-cities").waitFor({ timeout: 120_000 });
      const all = await total(page, "main", "cities");
      assert.match(await text(page, "#news"), /^$|imported into main/);
      await makeClone(page, "draft");
      assert.match(await text(page, "#news"), /^draft was cloned from main in [\d.]+ ms\.$/);

      // Change one row and delete two in the clone.
      await page.locator(`[id="row ${FIRST}"]`).click();
      const area = page.locator("dialog textarea");
      await area.fill((await area.inputValue()).replace('"name": "Aixirivall"', '"name": "Elsewhere", "big": 12n'));
      await confirmDialog(page);
      await page.getByRole("checkbox", { name: "Select AD/Canillo" }).check();
      await page.getByRole("checkbox", { name: "Select AD/Ordino" }).check();
      await page.getByRole("button", { name: "Delete 2 selected" }).click();
      await confirmDialog(page);
      assert.equal(await text(page, "#news"), "2 rows deleted from draft.");

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
