// How the page looks: on narrow screens, in light and dark, with rows and databases that are many, deep or long.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { launch } from "../tools/chromium.mjs";
import { servePage } from "../tools/page.mjs";
import { confirmDialog, fill, isReady, makeClone, openPage, rowText } from "./page.mjs";

const TABS = ["rows-things", "rows-settings", "changes", "import", "figures"];

describe("the look of the page", () => {
  let site;
  let context;
  let page;
  before(async () => {
    site = await servePage();
    context = await launch();
    page = await openPage(context, site.url);
    await fill(page);
    await page.evaluate(fillWithTheUnwieldy);
    await page.goto(`${site.url}/#/unwieldy/rows/things`);
    await page.reload();
    await isReady(page);
  });
  after(async () => {
    await context?.close();
    await site?.close();
  });

  const show = async (tab) => {
    await page.locator(`#tab-${tab}`).click();
    await page.locator(`#tab-${tab}[aria-current]`).waitFor();
  };

  /** A dialog is open, and takes keys. It may look at the database first. */
  const asked = () => page.locator("dialog[open]").waitFor();

  const showConflicts = async () => {
    await show("changes");
    await page.locator("#merge").click();
    await page.locator("dialog .conflict").first().waitFor();
    // One is settled by another value, and the others are not.
    await page.locator("dialog [type=radio][value=own]").first().check();
  };

  const showPast = async () => {
    if (!(await page.locator("#moment-slider").isVisible())) await page.locator("#moment").click();
    await page.locator("#moment-earlier").click();
    await page.locator(".past").waitFor();
  };

  test("fits a screen 360 pixels wide, in every view and dialog", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    const fits = async (view) => assert.deepEqual(await page.evaluate(whatSticksOut), [360], view);
    for (const tab of TABS) {
      await show(tab);
      await fits(tab);
    }
    await makeClone(page, "a-clone-with-quite-a-long-name-that-has-to-fit-all-the-same");
    await fits("the news of a clone");
    await show("rows-things");
    await page.locator('[id="row row-1002"]').click();
    await page.locator("dialog textarea").fill('{ "name": "narrow" }');
    await fits("editor");
    await confirmDialog(page);
    assert.equal(await rowText(page, "row-1002"), '{ "name": "narrow" }');
    await page.locator("#clone").click();
    await page.locator("dialog input").fill("no name!");
    await page.locator("dialog button[type=submit]").click();
    await page.locator("dialog .problem").getByText("INVALID_NAME").waitFor();
    await fits("an error");
    await page.keyboard.press("Escape");
    await page.locator("#materialize").click();
    await asked();
    await fits("a longer question");
    await page.keyboard.press("Escape");
    await page.locator("#drop").click();
    await asked();
    await fits("question");
    await confirmDialog(page);
    await page.getByRole("heading", { name: "unwieldy", exact: true }).waitFor();
    await showConflicts();
    await fits("conflicts");
    await page.keyboard.press("Escape");
    await showPast();
    await fits("the past");
    await show("since");
    await fits("what changed since");
    await page.locator("#restore").click();
    await asked();
    await fits("a restoration");
    await page.keyboard.press("Escape");
    await page.locator("#moment-now").click();
    await page.locator(".past").waitFor({ state: "hidden" });
  });

  test("keeps the buttons of a long row's editor in sight", async () => {
    await page.setViewportSize({ width: 360, height: 600 });
    await show("rows-things");
    await page.locator('[id^="row a-long-id"]').click();
    const save = page.locator("dialog button[type=submit]");
    await save.waitFor();
    const { bottom, height } = await save.evaluate((button) => {
      return { bottom: button.getBoundingClientRect().bottom, height: innerHeight };
    });
    assert.ok(bottom <= height, `${bottom} <= ${height}`);
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`has text that stands out from what is behind it, ${colorScheme}`, async () => {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width: 1280, height: 800 });
      const reads = async (view) => {
        const { seen, faint } = await page.evaluate(faintText);
        assert.ok(seen > 5, `${view}: ${seen} texts`);
        assert.deepEqual(faint, [], view);
      };
      for (const tab of TABS) {
        await show(tab);
        await reads(tab);
      }
      await show("rows-things");
      await page.locator("tbody tr").first().hover();
      await reads("a row under the pointer");
      await page.locator("#tab-figures").hover();
      await reads("a tab under the pointer");
      await makeClone(page, `clone-${colorScheme}`);
      await reads("news");
      await page.locator("#clone").click();
      await page.locator("dialog input").fill("no name!");
      await page.locator("dialog button[type=submit]").click();
      await page.locator("dialog .problem").getByText("INVALID_NAME").waitFor();
      await reads("an error");
      await page.keyboard.press("Escape");
      await page.locator("#database-unwieldy").click();
      await page.getByRole("heading", { name: "unwieldy", exact: true }).waitFor();
      await showConflicts();
      await reads("conflicts");
      await page.keyboard.press("Escape");
      await showPast();
      await reads("the past");
      await page.locator("#moment-now").click();
      await page.locator(".past").waitFor({ state: "hidden" });
      await show("figures");
      await page.locator("#compact").click();
      await page.locator("#news").getByText(/^Compacted/).waitFor();
      await reads("figures before and after");
    });
  }

  for (const width of [1280, 360]) {
    test(`draws forty databases without a line in a name, ${width} pixels wide`, async () => {
      await page.setViewportSize({ width, height: 740 });
      // Wait until the picture is drawn for this width: until then an older drawing is shown, scaled.
      await page.waitForFunction((width) => document.querySelector(".lineage").width.baseVal.value < width, width);
      const drawn = await page.evaluate(() => {
        const lanes = [...document.querySelectorAll(".lane")].map((lane) => lane.getBBox());
        const right = Math.max(...lanes.map(({ x, width }) => x + width));
        const end = document.querySelector(".lineage").clientWidth;
        const names = [...document.querySelectorAll(".lineage text")].map((text) => text.getBBox());
        const frame = document.getElementById("picture").getBoundingClientRect();
        const current = document.querySelector(".database.current").getBoundingClientRect();
        return {
          databases: document.querySelectorAll(".database").length,
          crossed: names.filter(({ x }) => x <= right).length,
          cut: names.filter(({ x, width }) => x + width > end).length,
          isCurrentSeen: current.top >= frame.top && current.bottom <= frame.bottom + 1,
          isShort: frame.height < innerHeight * 0.61,
        };
      });
      const { databases, ...rest } = drawn;
      assert.ok(databases >= 39, `${databases} databases`);
      assert.deepEqual(rest, { crossed: 0, cut: 0, isCurrentSeen: true, isShort: true });
    });
  }

  test("marks in a diff what differs, also deep inside and at the end of what is long", async () => {
    await page.setViewportSize({ width: 1280, height: 800 });
    await show("changes");
    const change = page.locator(".changes li", { hasText: "row-1001" });
    assert.deepEqual(await change.locator("dt").allInnerTexts(), ["deep.list[1].at", "long"]);
    assert.deepEqual(await change.locator("del").first().innerText(), "1");
    assert.deepEqual(await change.locator("ins").first().innerText(), "2");
    assert.match(await change.locator("del").last().innerText(), /^…x{40}end"$/);
    assert.match(await change.locator("ins").last().innerText(), /^…x{40}END"$/);
    assert.deepEqual(page.complaints, []);
  });
});

/** Runs in the page: rows that are deep or long, thirty clones, and clones of clones as deep as they may be. */
async function fillWithTheUnwieldy() {
  const { open } = await import("./offshoot/browser.js");
  const main = await open("offshoot-demo");
  const row = (at, end) => {
    return { id: "row-1001", deep: { list: [0, { at, same: true }, 2] }, long: `${"x".repeat(2000)}${end}` };
  };
  await main.collection("things").put(row(1, "end"));
  const made = [];
  const clone = async (origin, name) => {
    const database = await origin.clone(name);
    made.push(database);
    await database.kv("settings").set("made", made.length);
    return database;
  };
  const unwieldy = await clone(main, "unwieldy");
  let deepest = unwieldy;
  for (let depth = 2; depth <= 8; depth++) deepest = await clone(deepest, `depth-${depth}`);
  for (let n = 0; n < 29; n++) await clone(main, `clone-${n}`);
  await clone(main, "n".repeat(64));
  const deep = { a: { b: { c: [1, { d: ["word ".repeat(40), new Uint8Array(60)] }] } } };
  const lines = Array(80).fill("a line of text");
  await unwieldy.collection("things").put({ id: `a-long-id-${"x".repeat(900)}`, deep, lines });
  await unwieldy.collection("things").put(row(2, "END"));
  await main.collection("things").put(row(3, "other"));
  await unwieldy.collection("things").delete("row-1000");
  await unwieldy.kv("settings").set(["k".repeat(300), 1], deep);
  for (const database of [...made, main]) await database.close();
}

/** Runs in the page: how wide it is, and what can be used that lies outside of the screen. */
function whatSticksOut() {
  const scope = document.querySelector("dialog") ?? document;
  const wide = [...scope.querySelectorAll("button, a, input, textarea, summary, p, dd, h2, h3")].filter((each) => {
    const { left, right, width } = each.getBoundingClientRect();
    return width > 0 && (left < 0 || right > innerWidth);
  });
  return [document.documentElement.scrollWidth, ...wide.map((each) => each.outerHTML.slice(0, 80))];
}

/** Runs in the page: how many texts there are, and those whose contrast is less than WCAG's 4.5 to 1. */
function faintText() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (at) => {
    for (let each = at; each !== null; each = each.parentElement) {
      const { backgroundColor } = getComputedStyle(each);
      if (channels(backgroundColor)[3] !== 0) return backgroundColor;
    }
    return "rgb(255, 255, 255)";
  };
  const hasText = (at) => [...at.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
  const scope = document.querySelector("dialog") ?? document.body;
  const texts = [...scope.querySelectorAll("*")].filter((at) => {
    const isText = hasText(at) || at.matches("input, textarea");
    return isText && at.checkVisibility() && at.closest(":disabled, title, noscript") === null;
  });
  const faint = texts.flatMap((at) => {
    const { color, fill } = getComputedStyle(at);
    const [a, b] = [luminance(at instanceof SVGElement ? fill : color), luminance(behind(at))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return contrast < 4.5 ? [`${contrast.toFixed(2)} ${at.outerHTML.slice(0, 100)}`] : [];
  });
  return { seen: texts.length, faint };
}
