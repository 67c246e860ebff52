// The page as a person uses it: by mouse, by keyboard alone, in two tabs, and when something goes wrong.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { launch } from "../tools/chromium.mjs";
import { servePage } from "../tools/page.mjs";
import { confirmDialog, fill, isReady, makeClone, openPage, rowText, says, total } from "./page.mjs";

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
  beforeEach(async () => {
    await page.goto(`${site.url}/#/main/rows/things`);
    // An address that differs only behind the # loads nothing.
    await page.reload();
    await isReady(page);
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
    await page.locator("dialog").getByLabel("Key").fill("7");
    await page.locator("dialog").getByLabel("Value").fill("NaN");
    await confirmDialog(page);
    const stored = await page.evaluate(async () => {
      const { open } = await import("./offshoot/browser.js");
      const db = await open("offshoot-demo");
      const [edited, added] = await db.kv("settings").getMany([["a", 1], 7]);
      await db.close();
      return [Object.is(edited.deep[1], -0), edited.raw instanceof Uint8Array, [...edited.raw], Number.isNaN(added)];
    });
    assert.deepEqual(stored, [true, true, [0, 255], true]);
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
    await page.keyboard.press("Delete");
    await page.locator("dialog").waitFor();
    await tabTo("Delete");
    await page.keyboard.press("Enter");
    await says(page, "1 row deleted from typed. main was not touched.");
    await page.waitForFunction(() => document.activeElement.className === "table-frame");
    assert.equal(await page.locator('[id="row row-1001"]').count(), 0);

    // A button that can't be used any more hands the focus on; so does what is gone.
    await tabTo("Next");
    await page.keyboard.press("Enter");
    await page.locator(".place").getByText("51 – 100 of 119 rows").waitFor();
    await page.waitForFunction(() => document.activeElement.textContent === "Next");
    await page.keyboard.press("Enter");
    await page.locator(".place").getByText("101 – 119 of 119 rows").waitFor();
    await page.waitForFunction(() => document.activeElement.className === "table-frame");

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

  test("shows an earlier moment, which can be read and cloned from but not written", async () => {
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
    const problem = page.locator("dialog .problem");
    await page.locator("#clone").click();
    await page.locator("dialog input").fill("no name!");
    await page.locator("dialog button[type=submit]").click();
    await problem.getByText("INVALID_NAME").waitFor();
    await page.locator("dialog input").fill("main");
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

    await makeClone(page, "child");
    await makeClone(page, "grandchild");
    await page.locator("#database-child").click();
    await page.getByRole("heading", { name: "child", exact: true }).waitFor();
    await page.locator("#drop").click();
    // The dialog names the clones that there were when it opened; a drop fails if a clone was made after that.
    await page.getByText("1 clone depends on it: grandchild. It is materialized first").waitFor();
    await page.keyboard.press("Escape");
    await makeClone(page, "lonely");
    await page.locator("#drop").click();
    await page.evaluate(async () => {
      const { open } = await import("./offshoot/browser.js");
      const lonely = await open("offshoot-demo", { database: "lonely" });
      const late = await lonely.clone("late");
      await Promise.all([late.close(), lonely.close()]);
    });
    await page.locator("dialog button[type=submit]").click();
    await problem.getByText("CLONE_DEPENDENCY").waitFor();
    assert.match(await problem.innerText(), /late/);
    await page.keyboard.press("Escape");

    await page.evaluate(() => (location.hash = "#/nowhere"));
    await page.locator("#problem").getByText("DATABASE_NOT_FOUND").waitFor();
    await page.getByRole("link", { name: "Go to main" }).click();
    await page.getByRole("heading", { name: "main", exact: true }).waitFor();
    assert.equal(await page.locator("#problem").isVisible(), false);
  });

  test("does not write over what another tab wrote in the meantime", async () => {
    await page.locator('[id="row row-1010"]').click();
    const other = await openPage(context, `${site.url}/#/main/rows/things`);
    await other.locator('[id="row row-1010"]').click();
    await other.locator("dialog textarea").fill('{ "name": "first" }');
    await confirmDialog(other);
    await page.bringToFront();
    await page.locator("dialog textarea").fill('{ "name": "second" }');
    await page.locator("dialog button[type=submit]").click();
    await page.locator("dialog .problem").getByText("changed since it was opened").waitFor();
    await page.keyboard.press("Escape");
    assert.equal(await rowText(page, "row-1010"), '{ "name": "first" }');
    assert.deepEqual(other.complaints, []);
    await other.close();
  });

  test("follows what another tab writes, and the person keeps their place", async () => {
    await page.getByRole("button", { name: "Next" }).click();
    await page.locator('[id="row row-1060"]').waitFor();
    await page.getByRole("checkbox", { name: "Select row-1061" }).check();
    await page.getByLabel("From id").fill("half an i");
    const other = await openPage(context, `${site.url}/#/main/rows/things`);
    await other.getByLabel("From id").fill("row-1060");
    await other.keyboard.press("Enter");
    await other.getByRole("checkbox", { name: "Select row-1060" }).check();
    await other.getByRole("button", { name: "Delete 1 selected" }).click();
    await confirmDialog(other);
    await page.locator('[id="row row-1060"]').waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Delete 1 selected" }).waitFor();
    assert.equal(await page.getByRole("checkbox", { name: "Select row-1061" }).isChecked(), true);
    assert.equal(await page.getByLabel("From id").inputValue(), "half an i");

    await makeClone(other, "elsewhere");
    await page.locator("#database-elsewhere").click();
    await page.locator("#tab-changes").click();
    await page.getByText("elsewhere has changed nothing").waitFor();
    await other.locator('[id="row row-1020"]').click();
    await other.locator("dialog textarea").fill('{ "name": "another", "count": 20 }');
    await confirmDialog(other);
    await page.getByText("1 row of its own").waitFor();
    assert.deepEqual(await page.locator(".changes dt").allInnerTexts(), ["name"]);

    await other.locator("#drop").click();
    await confirmDialog(other);
    await page.locator("#problem").getByText("DATABASE_NOT_FOUND").waitFor();
    assert.equal(await page.locator("#database-elsewhere").count(), 0);
    assert.deepEqual(other.complaints, []);
    await other.close();
  });

  test("says why the store can't be opened, and opens it when it can", async () => {
    const other = await context.newPage();
    let isBroken = true;
    // The module, and its second copy for where the first is not served.
    await other.route(/\.wasm$|core_bytes/, (route) => (isBroken ? route.abort() : route.continue()));
    await other.goto(site.url);
    await isReady(other);
    await other.getByRole("heading", { name: "The store could not be opened" }).waitFor();
    assert.match(await other.locator("#problem").innerText(), /\w/);
    isBroken = false;
    await other.getByRole("button", { name: "Try again" }).click();
    await other.getByRole("heading", { name: "main", exact: true }).waitFor();
    assert.equal(await other.locator("#problem").isVisible(), false);
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
