/** A list of changes that is read as it is shown. */
import { button, element } from "../dom.js";
import { number } from "../words.js";
import { CHANGE_WORDS, drawChange } from "./change.js";

const STEP = 50;

/** A diff reads one snapshot, so after a write it is read anew, as far as it was shown. */
export class ChangeList {
  changes = [];
  isDone = false;
  #page;
  #reading;
  #boxesOf;
  #summarize;
  #list = element("ol", { class: "changes" });
  #summary = element("p", { class: "summary", role: "status", tabindex: -1 });
  #more;

  /** `summarize(list)` says what it is; `boxesOf(change)` makes the boxes beside it, if there are any. */
  constructor(page, { summarize, boxesOf = () => undefined }) {
    this.#page = page;
    this.#boxesOf = boxesOf;
    this.#summarize = summarize;
    this.#more = button("Show more", () => page.attempt(() => this.#load(this.#reading, STEP)));
    this.elements = [this.#summary, this.#list, this.#more];
    page.onLeave(() => this.#leave());
  }

  focus() {
    this.#summary.focus({ preventScroll: true });
  }

  async read(diff) {
    const shown = Math.max(STEP, this.#list.children.length);
    this.#leave();
    this.#reading = { iterator: diff[Symbol.asyncIterator](), changes: [], drawn: 0, isDone: false };
    await this.#load(this.#reading, shown);
  }

  /** "2 inserted, 1 deleted" */
  get counts() {
    const kinds = Object.keys(CHANGE_WORDS)
      .map((op) => [this.changes.filter((change) => change.op === op).length, CHANGE_WORDS[op]])
      .filter(([count]) => count > 0);
    return kinds.map(([count, word]) => `${number(count)} ${word}`).join(", ");
  }

  #leave() {
    return this.#reading?.iterator.return?.();
  }

  async #load(from, count) {
    for (let read = 0; read < count && !from.isDone; read++) {
      const step = await from.iterator.next();
      if (step.done === true) from.isDone = true;
      else from.changes.push(step.value);
    }
    if (from !== this.#reading) return;
    const focused = document.activeElement?.id;
    const isOurs = this.#list.contains(document.activeElement);
    if (from.drawn === 0) this.#list.replaceChildren();
    this.#list.append(...from.changes.slice(from.drawn).map((change) => drawChange(change, this.#boxesOf(change))));
    from.drawn = from.changes.length;
    if (isOurs && !this.#list.contains(document.activeElement)) {
      (document.getElementById(focused) ?? this.#summary).focus({ preventScroll: true });
    }
    if (from.isDone && document.activeElement === this.#more) this.focus();
    this.#more.hidden = from.isDone;
    Object.assign(this, { changes: from.changes, isDone: from.isDone });
    this.#summary.textContent = this.#summarize(this);
  }
}
