/** The commits that were made in this page, for each database, so that they can be taken back and made again. */
export class Undoing {
  #stacks = new Map();

  #of(name) {
    if (!this.#stacks.has(name)) this.#stacks.set(name, { undo: [], redo: [] });
    return this.#stacks.get(name);
  }

  /** `words` say what was done: "row-1000 saved". */
  record(name, version, words) {
    const stacks = this.#of(name);
    stacks.undo.push({ version, words });
    stacks.redo = [];
  }

  next(name, which) {
    return this.#of(name)[which].at(-1);
  }

  /** The last of them was turned back by a commit of its own, which is turned back in the same way. */
  turned(name, which, version) {
    const stacks = this.#of(name);
    const { words } = stacks[which].pop();
    if (version !== undefined) stacks[which === "undo" ? "redo" : "undo"].push({ version, words });
  }

  /** It was dropped, or became something else as a whole. */
  forget(name) {
    this.#stacks.delete(name);
  }
}
