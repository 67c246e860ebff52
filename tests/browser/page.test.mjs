// The page as a person uses it: by mouse, by keyboard alone, on a narrow screen, and when something goes wrong.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
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

describe("the page", () => {
  let site;
  let context;
  let page;
  before(async () => {
    site = await servePage();
    context = await launch();
    page = await openPage(context, site.url);
    await fill(page);
  });
  after(async () => {
    await context?.close();
    await site?.close();
  });

  /** Presses Tab until the focus is where it is wanted, as a person without a mouse would. */
  async function tabTo(name) {
    for (let press = 0; press < 300; press++) {
      await page.keyboard.press("Tab");
      const focused = await page.evaluate(() => {
        const { activeElement: at } = document;
        const outline = getComputedStyle(at).outlineStyle;
        const stroke = at.querySelector?.(".target");
        const isSeen = outline !== "none" || (stroke && getComputedStyle(stroke).stroke !== "none");
        return { name: at.getAttribute("aria-label") ?? at.innerText ?? "", isSeen, tag: at.tagName };
      });
      if (focused.tag !== "BODY") assert.ok(focused.isSeen, `the focus is not seen on ${JSON.stringify(focused)}`);
      if (focused.name.startsWith(name)) return;
    }
    assert.fail(`Tab never came to ${name}`);
  }

  test("pages through a collection, forth and back, and finds an id", async () => {
    const place = page.locator(".place");
    const isAt = async (words) => {
      await page.waitForFunction((words) => document.querySelector(".place").textContent === words, words);
      assert.equal(await place.innerText(), words);
    };
    await isAt("1 – 50 of 120 rows");
    await page.getByRole("button", { name: "Next" }).click();
    await isAt("51 – 100 of 120 rows");
    await page.getByRole("button", { name: "Next" }).click();
    await isAt("101 – 120 of 120 rows");
    assert.equal(await page.getByRole("button", { name: "Next" }).isDisabled(), true);
    await page.getByRole("button", { name: "Previous" }).click();
    await isAt("51 – 100 of 120 rows");
    assert.equal(await page.locator("button.open").first().innerText(), "row-1050");
    await page.getByLabel("From id").fill("row-107");
    await page.keyboard.press("Enter");
    await isAt("71 – 120 of 120 rows");
    assert.equal(await page.locator("button.open").first().innerText(), "row-1070");
    await page.getByRole("button", { name: "Previous" }).click();
    await isAt("21 – 70 of 120 rows");
    await page.getByRole("button", { name: "First" }).click();
    await isAt("1 – 50 of 120 rows");
  });

  test("keeps the types of KV entries through an edit, and takes keys of every type", async () => {
    await page.locator("#tab-rows-settings").click();
    await page.locator('[id="row \\"size\\""]').waitFor();
    assert.deepEqual(await page.locator("button.open").allInnerTexts(), ['"since"', '"size"', '["a", 1]']);
    assert.equal(await rowText(page, '\\"since\\"'), 'Date("1970-01-01T00:00:00.000Z")');
    await page.locator('[id="row [\\"a\\", 1]"]').click();
    await page.locator("dialog textarea").fill('{ "deep": [null, -0], "raw": Bytes("00ff") }');
    await page.keyboard.press("Control+Enter");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "New row" }).click();
    await page.getByLabel("Key").fill("7");
    await page.getByLabel("Value").fill("NaN");
    await confirmDialog(page);
    const stored = await page.evaluate(async () => {
      const { open } = await import("./offshoot/browser.js");
      const db = await open("offshoot-demo");
      const [edited, added] = await db.kv("settings").getMany([["a", 1], 7]);
      await db.close();
      return [Object.is(edited.deep[1], -0), edited.raw instanceof Uint8Array, [...edited.raw], Number.isNaN(added)];
    });
    assert.deepEqual(stored, [true, true, [0, 255], true]);
    await page.locator("#tab-rows-things").click();
    await page.locator('[id="row row-1000"]').waitFor();
  });

  test("is worked by the keyboard alone, and the focus is always seen and never lost", async () => {
    await tabTo("Clone");
    await page.keyboard.press("Enter");
    await page.locator("dialog input").waitFor();
    await page.keyboard.type("typed");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "typed", exact: true }).waitFor();
    await page.locator('[id="row row-1000"]').waitFor();

    await tabTo("row-1000");
    await page.keyboard.press("Enter");
    await page.locator("dialog textarea").waitFor();
    await page.keyboard.press("Control+A");
    await page.keyboard.type('{ "name": "by keyboard" }');
    await page.keyboard.press("Control+Enter");
    await page.locator("dialog").waitFor({ state: "detached" });
    await page.waitForFunction(() => document.activeElement.id === "row row-1000");

    await tabTo("Select row-1001");
    await page.keyboard.press("Space");
    await page.keyboard.press("Shift+Tab");
    await page.getByRole("button", { name: "Delete 1 selected" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("dialog").waitFor();
    await tabTo("Delete");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.activeElement.className === "table-frame");
    assert.equal(await page.locator('[id="row row-1001"]').count(), 0);

    // The picture's databases are links: back to the origin, which still has the row.
    await page.locator("#tab-rows-things").focus();
    await page.reload();
    await isReady(page);
    await tabTo("main, root");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "main", exact: true }).waitFor();
    await page.locator('[id="row row-1001"]').waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), "database-main");
    assert.match(await rowText(page, "row-1000"), /"name": "Name 0"/);
  });

  test("fits a screen 360 pixels wide, in every view and dialog", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const fits = async (view) => {
      const outside = await page.evaluate(() => {
        const scope = document.querySelector("dialog") ?? document;
        const wide = [...scope.querySelectorAll("button, a, input, textarea, summary")].filter((each) => {
          const { left, right, width } = each.getBoundingClientRect();
          return width > 0 && (left < 0 || right > innerWidth);
        });
        return [document.documentElement.scrollWidth, ...wide.map((each) => each.outerHTML.slice(0, 80))];
      });
      assert.deepEqual(outside, [360], view);
    };
    await makeClone(page, "a-clone-with-quite-a-long-name-that-has-to-fit-all-the-same");
    await fits("rows");
    for (const tab of ["rows-settings", "changes", "import", "figures"]) {
      await page.locator(`#tab-${tab}`).click();
      await page.locator(`#tab-${tab}[aria-current]`).waitFor();
      await fits(tab);
    }
    await page.locator("#tab-rows-things").click();
    await page.locator('[id="row row-1002"]').click();
    await page.locator("dialog textarea").fill('{ "name": "narrow" }');
    await fits("editor");
    await confirmDialog(page);
    assert.equal(await rowText(page, "row-1002"), '{ "name": "narrow" }');
    await page.locator("#drop").click();
    await fits("question");
    await confirmDialog(page);
    await page.getByRole("heading", { name: "main", exact: true }).waitFor();
    await page.setViewportSize({ width: 1200, height: 800 });
  });

  test("shows an earlier moment, which can be read and cloned from but not written", async () => {
    await show(page, site.url, "#/main/rows/things");
    const moment = await page.evaluate(() => new Date().toISOString());
    // Commits of the same millisecond belong to the moment.
    await page.waitForFunction((moment) => Date.now() > Date.parse(moment) + 1, moment);
    await page.locator('[id="row row-1005"]').click();
    await page.locator("dialog textarea").fill('{ "name": "later" }');
    await confirmDialog(page);
    await page.evaluate((moment) => (location.hash = `#/main/rows/things?at=${moment}`), moment);
    await page.locator(".past").waitFor();
    assert.match(await rowText(page, "row-1005"), /"name": "Name 5"/);
    assert.equal(await page.getByRole("button", { name: "New row" }).count(), 0);
    assert.equal(await page.getByRole("checkbox").count(), 0);
    await makeClone(page, "then");
    await page.locator('[id="row row-1005"]').waitFor();
    assert.match(await rowText(page, "row-1005"), /"name": "Name 5"/);
    await total(page, "main", "things");
    assert.equal(await rowText(page, "row-1005"), '{ "name": "later" }');
  });

  test("tells what went wrong, with its code, and goes on", async () => {
    await show(page, site.url, "#/main/rows/things");
    const problem = page.locator("dialog .problem");
    await page.locator("#clone").click();
    await page.locator("dialog input").fill("no name!");
    await page.locator("dialog button[type=submit]").click();
    await problem.getByText("INVALID_NAME").waitFor();
    await page.locator("dialog input").fill("typed");
    await page.locator("dialog button[type=submit]").click();
    await problem.getByText("DATABASE_EXISTS").waitFor();
    await page.keyboard.press("Escape");

    await page.locator('[id="row row-1003"]').click();
    await page.locator("dialog textarea").fill('{ "name": }');
    await page.locator("dialog button[type=submit]").click();
    await problem.getByText("no value starts like this. line=1, column=11").waitFor();
    await page.locator("dialog textarea").fill("[1]");
    await page.locator("dialog button[type=submit]").click();
    await problem.getByText("a document is an object").waitFor();
    await page.keyboard.press("Escape");

    await show(page, site.url, "#/typed");
    await makeClone(page, "grandchild");
    await page.locator("#database-typed").click();
    await page.getByRole("heading", { name: "typed", exact: true }).waitFor();
    await page.locator("#drop").click();
    await page.locator("dialog button[type=submit]").click();
    await problem.getByText("CLONE_DEPENDENCY").waitFor();
    assert.match(await problem.innerText(), /grandchild/);
    await page.keyboard.press("Escape");

    await page.evaluate(() => (location.hash = "#/nowhere"));
    await page.locator("#problem").getByText("DATABASE_NOT_FOUND").waitFor();
    await page.getByRole("link", { name: "Go to main" }).click();
    await page.getByRole("heading", { name: "main", exact: true }).waitFor();
    assert.equal(await page.locator("#problem").isVisible(), false);
  });

  test("does not write over what another tab wrote in the meantime", async () => {
    await show(page, site.url, "#/main/rows/things");
    const other = await openPage(context, `${site.url}/#/main/rows/things`);
    await page.locator('[id="row row-1010"]').click();
    await other.locator('[id="row row-1010"]').click();
    await other.locator("dialog textarea").fill('{ "name": "first" }');
    await confirmDialog(other);
    await page.locator("dialog textarea").fill('{ "name": "second" }');
    await page.locator("dialog button[type=submit]").click();
    await page.locator("dialog .problem").getByText("changed since it was opened").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await rowText(page, "row-1010"), '{ "name": "first" }');
    assert.deepEqual(other.complaints, []);
    await other.close();
  });

  test("shows the store's figures, and deletes it only when asked twice", async () => {
    const other = await openPage(context, `${site.url}/#/main/figures`);
    const rows = await other.locator("[data-figure=rows] dd").innerText();
    assert.ok(Number.parseInt(rows, 10) >= 123, rows);
    await other.getByRole("button", { name: "Delete the store" }).click();
    await other.keyboard.press("Escape");
    await other.locator("dialog").waitFor({ state: "detached" });
    await other.getByRole("button", { name: "Delete the store" }).click();
    await confirmDialog(other);
    // The first tab hears of it too.
    await page.getByText("The store is closed").waitFor();
    await other.getByRole("button", { name: "Open a new one" }).click();
    await other.locator("#tab-import[aria-current]").waitFor();
    assert.deepEqual([page.complaints, other.complaints], [[], []]);
  });
});
