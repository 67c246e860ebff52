// Clones in each engine: copied up and deleted rows, in every way of reading, and all of it after a reload and a
// restart.
import { onEachEngine, openIn, reload, storeName } from "./engines.mjs";

/** Runs one step of the story in a tab that has the store open as `db`. */
const tell = (tab, step, ...rest) =>
  tab.evaluate(
    async (step, ...rest) => {
      const story = await import("/tests/engines/pages/story.mjs");
      await story[step](globalThis.db, ...rest);
    },
    step,
    ...rest,
  );

onEachEngine((browser, test) => {
  for (const how of ["single calls", "transaction"]) {
    // W1, W3, W4, W5, W6, R2, R4, C11.
    test(`rows are copied up and deleted in a clone alone, and stay so (${how})`, async () => {
      const name = storeName();
      let tab = await browser.tab();
      await openIn(tab, name);
      await tell(tab, "prepare");
      await tell(tab, "change", how);
      await tell(tab, "check");

      const other = await browser.tab();
      await openIn(other, name);
      await tell(other, "check");
      await other.close();

      await reload(tab);
      await openIn(tab, name);
      await tell(tab, "check");

      if (browser.keeps) {
        await browser.restart();
        tab = await browser.tab();
        await openIn(tab, name);
        await tell(tab, "check");
      }
      await tab.close();
    });
  }
});
