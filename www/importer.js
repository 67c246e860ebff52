/** Brings a data set into a database. It goes on while the page shows something else, and tells whoever watches. */

/** Rows of one commit: large enough to be fast, small enough that the progress bar moves and Cancel is heeded. */
const SLICE = 2500;

/** Each import is { dataSet, database, phase, done, total, took?, error? }, done and total being bytes, then rows. */
export class Importer {
  #watchers = new Set();
  #cancelled = false;
  /** The import under way, or the last one. */
  current;

  get isBusy() {
    return this.current?.phase === "download" || this.current?.phase === "write";
  }

  /** @returns how to stop watching */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  cancel() {
    this.#cancelled = true;
  }

  async run(dataSet, database) {
    if (this.isBusy) throw new Error("an import is under way already");
    this.#cancelled = false;
    const began = performance.now();
    const current = { dataSet, database: database.name, phase: "download", done: 0, total: 0, rows: 0 };
    this.current = current;
    try {
      const json = await this.#download(dataSet.file);
      await this.#write(database, dataSet.parts(json));
      this.#tell({ phase: "done" });
    } catch (error) {
      this.#tell({ phase: error === CANCELLED ? "cancelled" : "failed", error });
      if (error !== CANCELLED) throw error;
    } finally {
      this.#tell({ took: performance.now() - began });
    }
    return current;
  }

  async #download(file) {
    const response = await fetch(file);
    if (!response.ok) throw new Error(`the data set could not be fetched. file=${file}, status=${response.status}`);
    // A server that compresses tells the compressed length, which says nothing about what arrives here.
    const isPlain = response.headers.get("content-encoding") === null;
    this.#tell({ total: isPlain ? Number(response.headers.get("content-length") ?? 0) : 0 });
    const decoder = new TextDecoder();
    let text = "";
    for (const reader = response.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
      this.#tell({ done: this.current.done + value.length });
      if (this.#cancelled) await reader.cancel();
      this.#heed();
    }
    return JSON.parse(text + decoder.decode());
  }

  async #write(database, parts) {
    this.#tell({ phase: "write", done: 0, total: parts.reduce((sum, part) => sum + part.rows.length, 0) });
    for (const { kind, collection, rows } of parts) {
      for (let from = 0; from < rows.length; from += SLICE) {
        this.#heed();
        const slice = rows.slice(from, from + SLICE);
        if (kind === "kv") await database.kv(collection).setMany(slice);
        else await database.collection(collection).putMany(slice);
        this.#tell({ done: this.current.done + slice.length });
        await nextFrame();
      }
    }
  }

  #heed() {
    if (this.#cancelled) throw CANCELLED;
  }

  #tell(news) {
    Object.assign(this.current, news);
    for (const watcher of this.#watchers) watcher(this.current);
  }
}

const CANCELLED = new Error("the import was cancelled");

/** Lets the browser paint the progress bar; a page in the background paints nothing and goes on without. */
function nextFrame() {
  if (document.hidden) return undefined;
  return new Promise((resolve) => {
    requestAnimationFrame(resolve);
    // The page may go to the background while it waits.
    setTimeout(resolve, 100);
  });
}
