/** Long work that tells how far it is and can be aborted. It goes on while the page shows something else. */
import { element } from "./dom.js";
import { counted, number, size } from "./words.js";

export class Task {
  #watchers = new Set();
  #abort;
  isBusy = false;
  /** The progress that the work told last: { rowsDone, rowsTotal?, bytesDone, bytesTotal? }. */
  progress;
  /** The outcome of the work in words, until it is begun again. */
  outcome = "";

  /** @returns how to stop watching */
  watch(watcher) {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  cancel() {
    this.#abort?.abort();
  }

  /** Runs `work` with the signal and the listener that the package's calls take; its answer becomes the outcome. */
  async run(work) {
    if (this.isBusy) throw new Error("this is under way already");
    this.#abort = new AbortController();
    this.#tell({ isBusy: true, progress: undefined, outcome: "" });
    try {
      const { signal } = this.#abort;
      const outcome = await work({ signal, onProgress: (progress) => this.#tell({ progress }) });
      this.#tell({ outcome });
      return outcome;
    } finally {
      this.#tell({ isBusy: false });
    }
  }

  #tell(news) {
    Object.assign(this, news);
    for (const watcher of this.#watchers) watcher();
  }
}

/** The page's tasks by their names, so that whoever shows one again finds it under way. */
export class Tasks {
  #tasks = new Map();

  get(name) {
    if (!this.#tasks.has(name)) this.#tasks.set(name, new Task());
    return this.#tasks.get(name);
  }
}

export function progressWords({ rowsDone, rowsTotal, bytesDone, bytesTotal }) {
  const done = rowsTotal === undefined ? counted(rowsDone, "row") : number(rowsDone);
  const total = rowsTotal === undefined ? "" : ` of ${counted(rowsTotal, "row")}`;
  const bytes = bytesTotal === undefined ? "" : ` of ${size(bytesTotal)}`;
  return `${done}${total}, ${size(bytesDone)}${bytes}`;
}

/** The part of the work that is done, from 0 to 1; undefined while the total is unknown. */
export function partOf(progress) {
  const { rowsDone, rowsTotal, bytesDone, bytesTotal } = progress ?? {};
  if (rowsTotal > 0) return rowsDone / rowsTotal;
  return bytesTotal > 0 ? bytesDone / bytesTotal : undefined;
}

export function taskState(task) {
  const { isBusy, progress, outcome } = task;
  const part = partOf(progress);
  return { isRunning: isBusy, part, words: progress === undefined || !isBusy ? outcome : progressWords(progress) };
}

/**
 * The bar of work that `start` begins and `stop` ends, and a note beside it. `state` tells how it stands:
 * { isRunning, isBlocked?, isSeen?, part?, words }. Work that is seen and not running goes on elsewhere, or later.
 */
export function workBar(page, { label, start, stop, watch, state }) {
  const bar = element("progress", { max: 1, value: 0, "aria-label": label });
  const note = element("p", { class: "note" });
  const show = () => {
    const { isRunning, isBlocked = isRunning, isSeen = isRunning, part, words } = state();
    const focused = document.activeElement;
    start.disabled = isBlocked;
    stop.hidden = !isRunning;
    // The focus stays on one of the two, whichever can be used.
    if (focused === start && isRunning) stop.focus();
    if (focused === stop && !isRunning) start.focus();
    bar.hidden = !(isRunning || isSeen);
    note.textContent = words;
    if (part !== undefined) bar.value = Math.min(1, part);
    else bar.removeAttribute("value");
  };
  page.onLeave(watch(show));
  show();
  return [bar, note];
}
