// Steps that the tests of the page take on it, each as a person would.

/** The page in a tab of its own; whatever it complains about is collected in `complaints`. */
export async function openPage(context, url) {
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

/** The page has opened its store and shows it, or says why not. */
export const isReady = (page) => page.locator("html[data-ready]").waitFor();

/** How many rows a collection of a database has, by way of its view. */
export async function total(page, database, collection) {
  await page.locator(`[id="database-${database}"]`).click();
  await page.getByRole("heading", { name: database, exact: true }).waitFor();
  await page.locator(`#tab-rows-${collection}`).click();
  await page.locator(`#tab-rows-${collection}[aria-current]`).waitFor();
  return Number(await page.locator(".place[data-total]").getAttribute("data-total"));
}

/** A row as its editor shows it; the editor is left again. */
export const rowText = async (page, id) => {
  await page.locator(`[id="row ${id}"]`).click();
  const written = await page.locator("dialog textarea").inputValue();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  return written;
};

/** Does what the dialog asks about. */
export async function confirmDialog(page) {
  await page.locator("dialog button[type=submit]").click();
  await page.locator("dialog").waitFor({ state: "detached" });
}

/** Waits until the page tells of what it did. */
export const says = (page, words) => page.locator("#news").getByText(words).waitFor();

/** A clone of the database that is shown, which is shown then. */
export async function makeClone(page, name) {
  await page.locator("#clone").click();
  await page.locator("dialog input").fill(name);
  await confirmDialog(page);
  await page.getByRole("heading", { name, exact: true }).waitFor();
}

/**
 * Runs `work(databases, argument)` in the page and behind its back; `databases` are those of the page's store by their
 * names. It becomes text on the way, and so sees nothing of the test.
 */
export function inStore(page, work, argument = null) {
  const body = async (work, argument) => {
    const { open } = await import("./offshoot/browser.js");
    const main = await open("offshoot-demo");
    const names = (await main.databases()).map(({ name }) => name).filter((name) => name !== "main");
    const others = await Promise.all(names.map((name) => main.database(name)));
    const result = await work(Object.fromEntries([main, ...others].map((each) => [each.name, each])), argument);
    for (const each of [...others, main]) await each.close();
    return result;
  };
  return page.evaluate(`(${body})(${work}, ${JSON.stringify(argument)})`);
}

/** A few documents and entries in the page's own store, without an import. */
export async function fill(page) {
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
