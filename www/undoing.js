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

  /** The last entry was undone or redone by the commit `version`. The other stack takes it, to undo it likewise. */
  turned(name, which, version) {
    const stacks = this.#of(name);
    const { words } = stacks[which].pop();
    if (version !== undefined) stacks[which === "undo" ? "redo" : "undo"].push({ version, words });
  }

  /** Forgets the entries of a database that was dropped, or replaced as a whole. */
  forget(name) {
    this.#stacks.delete(name);
  }
}
