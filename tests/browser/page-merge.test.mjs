// A clone's changes are merged, rebased, reset and taken back in the page, as a person does it.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { launch } from "../tools/chromium.mjs";
import { servePage } from "../tools/page.mjs";
import { confirmDialog, fill, inStore, isReady, makeClone, openPage, says } from "./page.mjs";

/** Runs in the page: both sides change rows of `things`; `main` and `draft` are the databases. */
const bothChange = async ({ main, draft }) => {
  const [ours, theirs] = [main.collection("things"), draft.collection("things")];
  await theirs.update("row-1000", { name: "of draft", count: 7, more: true });
  await ours.update("row-1000", { name: "of main", count: 9 });
  await theirs.delete("row-1001");
  await ours.update("row-1001", { name: "kept by main" });
  await theirs.update("row-1002", { name: "two", count: 22 });
  await theirs.insert({ id: "row-2000", name: "new" });
  await draft.kv("settings").set("size", 15n);
};

describe("merging in the page", () => {
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
    await makeClone(page, "draft");
    await inStore(page, bothChange);
    await page.locator("#tab-changes").click();
    await page.getByText("5 rows of its own").waitFor();
  });
  after(async () => {
    await context?.close();
    await site?.close();
  });

  const tick = (name) => page.getByRole("checkbox", { name, exact: true });
  const conflict = (name) => page.getByRole("radiogroup", { name, exact: true });
  const rows = (ids) =>
    inStore(
      page,
      async ({ main, draft }, ids) => [
        await main.collection("things").getMany(ids),
        await draft.collection("things").getMany(ids),
      ],
      ids,
    );

  test("merges the rows and fields that are ticked, as they were reviewed; the rest stays in the clone", async () => {
    await tick("Select count of row-1002").check();
    assert.equal(await tick("Select row-1002").evaluate((box) => box.indeterminate), true);
    await tick("Select row-2000").check();
    await page.locator("#merge").getByText("Merge 2 selected into main").click();
    await page.locator("dialog").getByText("1 inserted, 1 changed in main, in one commit.").waitFor();
    // Written while the person reads the question: not reviewed.
    await inStore(page, ({ draft }) => draft.collection("things").update("row-1002", { count: 23 }));
    await confirmDialog(page);
    await says(page, "Merged into main: 1 inserted, 1 changed. 4 changed rows left in draft.");
    const [[two, added], [draftTwo]] = await rows(["row-1002", "row-2000"]);
    assert.deepEqual(two, { id: "row-1002", name: "Name 2", count: 22 });
    assert.deepEqual(added, { id: "row-2000", name: "new" });
    assert.deepEqual(draftTwo, { id: "row-1002", name: "two", count: 23 });
    const left = page.locator(".changes li", { hasText: "row-1002" });
    assert.deepEqual(await left.locator("dt").allInnerTexts(), ["name", "count"]);
    assert.equal(await page.locator(".changes li", { hasText: "row-2000" }).count(), 0);
    // The merge is a commit of the origin's, which can be taken back there.
    await page.locator("#database-main").click();
    await page.getByRole("button", { name: "Undo: the merge of draft" }).click();
    await says(page, "Undone: the merge of draft. 1 changed, 1 deleted.");
    assert.deepEqual((await rows(["row-1002", "row-2000"]))[0], [{ ...two, count: 2 }, undefined]);
    assert.deepEqual(page.complaints, []);
  });

  test("shows each conflict's three sides, and takes the person's choice for a field, a row, or a value", async () => {
    await page.locator("#merge").click();
    const name = conflict("row-1000, name");
    await name.waitFor();
    assert.deepEqual(await name.locator("code").allInnerTexts(), ['"Name 0"', '"of draft"', '"of main"']);
    assert.equal(await conflict("row-1001, the whole row").getByText("no row", { exact: true }).count(), 1);
    await page.getByText("0 of 3 conflicts settled").waitFor();
    // Nothing is merged as long as one is not settled.
    await page.locator("dialog button[type=submit]").click();
    assert.equal(await page.locator("dialog").count(), 1);

    await page.getByRole("group", { name: "For row-1000" }).getByRole("button", { name: "main" }).click();
    await page.getByText("2 of 3 conflicts settled").waitFor();
    await name.getByRole("radio", { name: "Another value" }).check();
    await name.getByRole("textbox").fill('"of bot');
    await conflict("row-1001, the whole row").getByRole("radio", { name: "draft" }).check();
    await page.locator("dialog button[type=submit]").click();
    await page.locator("dialog .problem").getByText(/^row-1000: this text in double quotes is not closed/).waitFor();
    await name.getByRole("textbox").fill('"of both"');
    await confirmDialog(page);
    const report = "Merged into main: 1 inserted, 3 changed, 1 deleted, 3 conflicts settled. Nothing is left in draft.";
    await says(page, report);
    const [inMain, inDraft] = await rows(["row-1000", "row-1001"]);
    assert.deepEqual(inMain, [{ id: "row-1000", name: "of both", count: 9, more: true }, undefined]);
    assert.deepEqual(inDraft, inMain);
    assert.deepEqual(page.complaints, []);
  });

  test("asks again about what was changed since it asked, and keeps the other choices", async () => {
    await page.locator("#merge").click();
    await page.getByRole("group", { name: "For all of them" }).getByRole("button", { name: "draft" }).click();
    await page.getByText("3 of 3 conflicts settled").waitFor();
    await inStore(page, ({ main }) => main.collection("things").update("row-1000", { name: "of main, later" }));
    await page.locator("dialog button[type=submit]").click();
    await page.locator("dialog .problem").getByText("it was changed meanwhile").waitFor();
    await page.getByText("2 of 3 conflicts settled").waitFor();
    await conflict("row-1000, name").getByRole("radio", { name: "main" }).check();
    await confirmDialog(page);
    await says(page, /^Merged into main: .*3 conflicts settled/);
    const [[merged]] = await rows(["row-1000"]);
    assert.deepEqual(merged, { id: "row-1000", name: "of main, later", count: 7, more: true });
  });

  test("settles hundreds of conflicts together, and those that are shown one by one", async () => {
    await inStore(page, async ({ main, draft }) => {
      const rows = (name) => Array.from({ length: 300 }, (_, n) => ({ id: `many-${1000 + n}`, name }));
      await main.collection("things").putMany(rows("of main"));
      await draft.collection("things").putMany(rows("of draft"));
    });
    await page.locator("#tab-figures").click();
    await page.locator("#tab-changes").click();
    await page.getByText(/^The first/).waitFor();
    await page.locator("#merge").click();
    await page.getByRole("group", { name: "For all of them" }).getByRole("button", { name: "draft" }).click();
    await page.getByText("303 of 303 conflicts settled").waitFor();
    await conflict("many-1000, name").getByRole("radio", { name: "main" }).check();
    await page.getByRole("radiogroup", { name: /^103 other conflicts/ }).getByRole("radio", { name: "main" }).check();
    await confirmDialog(page);
    await says(page, /303 conflicts settled/);
    const [inMain] = await rows(["many-1000", "many-1001", "many-1299"]);
    assert.deepEqual(
      inMain.map(({ name }) => name),
      ["of main", "of draft", "of main"],
    );
    assert.deepEqual(page.complaints, []);
  });

  test("is done by the keyboard alone on a narrow screen, and the focus comes back", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await page.locator("#merge").focus();
    await page.keyboard.press("Enter");
    await conflict("row-1000, name").waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    const settled = (count) => page.getByText(`${count} of 3 conflicts settled`).waitFor();
    for (let group = 0; group < 3; group++) {
      const isAtRadio = () => page.evaluate(() => document.activeElement.matches("[type=radio]:not(:checked)"));
      for (let press = 0; press < 20; press++) {
        await page.keyboard.press("Tab");
        if (await isAtRadio()) break;
      }
      await page.keyboard.press("Space");
      await settled(group + 1);
    }
    await page.keyboard.press("ArrowDown");
    await settled(3);
    await page.keyboard.press("Enter");
    await says(page, /^Merged into main/);
    await page.locator("dialog").waitFor({ state: "detached" });
    const focused = await page.evaluate(() => document.activeElement.id);
    assert.ok(["merge", "tab-changes"].includes(focused), focused);
    // The page has read the clone's list of changes again: none is left.
    await page.getByText("draft has changed nothing").waitFor();
  });

  test("rebases the clone onto its origin's present, and resets what is selected", async () => {
    await page.locator("#rebase").click();
    await page.getByRole("group", { name: "For all of them" }).getByRole("button", { name: "main" }).click();
    await confirmDialog(page);
    await says(page, /^draft reads main as it is now/);
    const [inMain, inDraft] = await rows(["row-1000", "row-1001"]);
    assert.deepEqual(inMain[0], { id: "row-1000", name: "of main", count: 9 });
    assert.deepEqual(inDraft, [{ ...inMain[0], more: true }, inMain[1]]);

    await tick("Select row-1002").check();
    await page.locator("#reset").getByText("Reset 1 selected").click();
    await confirmDialog(page);
    await says(page, /^Reset\. 3 changed rows left in draft\. main was not touched\.$/);
    assert.equal((await rows(["row-1002"]))[1][0].name, "Name 2");
    await page.locator("#reset").getByText("Reset all").click();
    await confirmDialog(page);
    await page.getByText("draft has changed nothing").waitFor();
    assert.equal(await page.locator("#merge").isDisabled(), true);
    assert.deepEqual(page.complaints, []);
  });

  test("takes back what was done in the page, and does it again, asking where it was changed since", async () => {
    await page.locator("#tab-rows-things").click();
    await page.locator('[id="row row-1010"]').click();
    await page.locator("dialog textarea").fill('{ "name": "typed" }');
    await confirmDialog(page);
    await page.getByRole("checkbox", { name: "Select row-1011" }).check();
    await page.getByRole("button", { name: "Delete 1 selected" }).click();
    await confirmDialog(page);
    const [ten, eleven] = ["row-1010", "row-1011"];
    const seen = async () => (await rows([ten, eleven]))[1].map((row) => row?.name);
    assert.deepEqual(await seen(), ["typed", undefined]);
    await page.getByRole("button", { name: "Undo: 1 row deleted" }).click();
    await says(page, "Undone: 1 row deleted. 1 inserted.");
    await page.keyboard.press("Control+z");
    await says(page, "Undone: row-1010 saved. 1 changed.");
    assert.deepEqual(await seen(), ["Name 10", "Name 11"]);
    await page.waitForFunction(() => document.activeElement.id === "redo");
    await page.keyboard.press("Control+Shift+Z");
    await says(page, "Done again: row-1010 saved. 1 changed.");
    await inStore(page, ({ draft }) => draft.collection("things").update("row-1010", { name: "later" }));
    await page.getByRole("button", { name: "Undo: row-1010 saved" }).click();
    await page.getByRole("heading", { name: "Undo row-1010 saved?" }).waitFor();
    await conflict("row-1010, name").getByRole("radio", { name: "As it was before" }).check();
    await confirmDialog(page);
    assert.deepEqual(await seen(), ["Name 10", "Name 11"]);
    await page.reload();
    await isReady(page);
    assert.equal(await page.locator("#undo").count(), 0);
    assert.deepEqual(page.complaints, []);
  });
});
