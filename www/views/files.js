/** Exporting the database to a file, and importing one. */
import { button, element } from "../dom.js";
import { chooseTarget, takesFiles } from "../files.js";
import { taskState, workBar } from "../task.js";
import { counted, duration, point, size } from "../words.js";

/** An export streams at the pace of what takes it; a person who aborts it is told so without an alarm. */
const isAbort = (error, signal) => signal.aborted && (error?.code === "ABORTED" || error?.name === "AbortError");

export function exportCard(page, { database, reader, snapshot }) {
  const task = page.tasks.get(`export ${database.name}`);
  const which = snapshot === undefined ? "as it is now" : `as it was, ${point(snapshot.version)}`;
  const start = button("Export to a file", () => page.attempt(run), { class: "primary", id: "export" });
  const stop = button("Abort", () => task.cancel());
  async function run() {
    const name = `${database.name}${snapshot === undefined ? "" : `-${snapshot.version}`}.offshoot`;
    const target = await chooseTarget(name);
    if (target === undefined) return;
    const began = performance.now();
    const words = await task.run(async ({ signal, onProgress }) => {
      let [last, rowsTotal] = [{ rowsDone: 0, bytesDone: 0 }, undefined];
      // Counting reads every key, so the export doesn't wait for it.
      countRows(database, reader).then((total) => (rowsTotal = total), () => undefined);
      const tell = (progress) => onProgress((last = { ...progress, rowsTotal }));
      const stream = reader.export({ signal, onProgress: tell });
      try {
        await target.save(stream, signal);
      } catch (error) {
        if (isAbort(error, signal)) return `The export of ${database.name} was aborted.`;
        throw error;
      }
      const what = `${counted(last.rowsDone, "row")}, ${size(last.bytesDone)}`;
      return `${database.name}: ${what}, exported to ${name} in ${duration(performance.now() - began)}.`;
    });
    page.say(words);
  }
  const about = `All of ${database.name} ${which}, with what it reads of its origin, in one file.`;
  return card(page, { name: "export", title: "To a file", about, task, start, stop });
}

async function countRows(database, reader) {
  const rows = (await database.collections()).map(({ name, kind }) => {
    return kind === "kv" ? reader.kv(name).count() : reader.collection(name).count();
  });
  return (await Promise.all(rows)).reduce((sum, count) => sum + count, 0);
}

export function importCard(page, { database }) {
  const task = page.tasks.get(`import ${database.name}`);
  const choose = element("input", { type: "file", class: "unseen", tabindex: -1, "aria-hidden": "true" });
  const replace = element("input", { type: "checkbox", id: "import-replace" });
  const start = button(`Choose a file for ${database.name}`, () => choose.click(), { id: "import-file" });
  const stop = button("Abort", () => task.cancel());
  choose.addEventListener("change", () => {
    const [file] = choose.files;
    // The same file can be chosen once more.
    choose.value = "";
    if (file !== undefined) page.attempt(() => take(file));
  });
  async function take(file) {
    const began = performance.now();
    const words = await task.run(async ({ signal, onProgress }) => {
      const tell = (progress) => onProgress({ ...progress, bytesTotal: file.size });
      const options = { replace: replace.checked, signal, onProgress: tell };
      try {
        const { documents, entries, skipped } = await database.import(file.stream(), options);
        const lost = skipped === undefined ? "" : ` ${counted(skipped, "place")} could not be read when it was made.`;
        const what = `${counted(documents, "document")} and ${counted(entries, "KV entry", "KV entries")}`;
        const took = duration(performance.now() - began);
        return `${file.name}: ${what} imported into ${database.name} in ${took}.${lost}`;
      } catch (error) {
        if (isAbort(error, signal)) return `The import of ${file.name} was aborted. Nothing of it was written.`;
        throw told(error, file);
      }
    });
    await page.wrote(words);
  }
  const label = element("label", { class: "check" }, replace, "Replace rows that are here already");
  const about = "What an export wrote, in one commit: all of it or nothing. Choose a file, or drop it here.";
  const made = card(page, { name: "import", title: "From a file", about, task, start, stop, options: [label, choose] });
  takesFiles(made, (file) => page.attempt(() => take(file)));
  return made;
}

/** The error of an import in words for a person: its place in the file, or the box to tick so as to replace rows. */
function told(error, file) {
  const { code, message } = error;
  if (code === "INVALID_IMPORT") {
    return Object.assign(new Error(`${file.name}: ${message}. Nothing of it was written.`), { code });
  }
  if (code !== "KEY_EXISTS") return error;
  return Object.assign(new Error(`${message}. Nothing was written: tick Replace to write over it`), { code });
}

function card(page, { name, title, about, task, start, stop, options = [] }) {
  const watch = (watcher) => task.watch(watcher);
  const bar = workBar(page, { label: title, start, stop, watch, state: () => taskState(task) });
  return element(
    "section",
    { class: "card", "aria-label": title, "data-card": name },
    element("h3", {}, title),
    element("p", {}, about),
    options,
    bar,
    element("div", { class: "buttons" }, start, stop),
  );
}
