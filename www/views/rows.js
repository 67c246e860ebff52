/** The rows of one collection, to page through, open, select and delete. */
import { confirm } from "../dialogs.js";
import { button, element, field, keepingFocus } from "../dom.js";
import { addRow, committing, editRow } from "../editor.js";
import { rowsOf } from "../rows.js";
import { counted, number } from "../words.js";
import { drawTable, rowName } from "./table.js";

export async function rowsView(page, given) {
  const view = new RowsView(page, given);
  await view.start();
  return { element: view.element, reload: () => view.reload() };
}

class RowsView {
  #page;
  #given;
  #rows;
  /** The points at which this page and the next one begin, and the beginnings of the pages before that were seen. */
  #from;
  #next;
  #earlier = [];
  #selected = [];
  #isTurning = false;
  #turns = 0;
  #counts = 0;
  #table = element("div", { class: "table-frame", tabindex: -1 });
  #place = element("span", { class: "place" });
  #first;
  #previous;
  #following;
  #delete;

  constructor(page, given) {
    this.#page = page;
    this.#given = given;
    this.#rows = rowsOf(given.reader, given.kind, given.collection);
    const action = (text, work, properties) => button(text, () => page.attempt(work), properties);
    this.#first = action("First", () => this.#turn(this.#rows.start, []));
    this.#previous = action("Previous", () => {
      const earlier = [...this.#earlier];
      return this.#turn(earlier.pop() ?? this.#rows.before(this.#from), earlier);
    });
    this.#following = action("Next", () => this.#turn(this.#next, [...this.#earlier, this.#from]));
    this.#delete = action("Delete selected", () => this.#deleteSelected(), {
      class: "danger",
      title: "Or press Delete in the table",
      "aria-keyshortcuts": "Delete",
    });
    this.#table.addEventListener("keydown", (event) => {
      // The Delete key, because from the last row it is a long way back to the button.
      if (event.key === "Delete" && this.#selected.length > 0) this.#delete.click();
    });
    const writing = page.isPast ? [] : [action("New row", () => this.#add()), this.#delete];
    const pager = [this.#first, this.#previous, this.#following, this.#place];
    this.element = element(
      "div",
      { class: "rows" },
      element("div", { class: "toolbar" }, this.#seeking(), writing),
      this.#table,
      element("nav", { class: "pager", "aria-label": "Pages" }, pager),
    );
  }

  start() {
    return this.#load(this.#rows.start, []);
  }

  /** Reads the page of rows that is shown again; the rows that are ticked stay ticked. */
  reload() {
    return this.#load(this.#from, this.#earlier, this.#selected);
  }

  async #load(from, earlier, selected = []) {
    const turn = ++this.#turns;
    const { rows, next } = await this.#rows.page(from);
    if (turn !== this.#turns) return;
    const { kind } = this.#given;
    this.#from = from;
    this.#next = next;
    this.#earlier = earlier;
    const content = rows.length === 0 ? element("p", { class: "empty" }, "No rows here.") : this.#draw(rows, selected);
    keepingFocus(() => this.#table.replaceChildren(content), this.#table);
    const isHere = (key) => rows.some(([here]) => rowName(kind, here) === rowName(kind, key));
    this.#select(selected.filter(isHere));
    const focused = document.activeElement;
    this.#first.disabled = from.position === 0;
    this.#previous.disabled = earlier.length === 0 && this.#rows.before(from) === undefined;
    this.#following.disabled = next === undefined;
    // A button that can't be used any more loses the focus.
    if (focused?.disabled) this.#table.focus({ preventScroll: true });
    this.#showPlace(rows.length);
  }

  /** To another page. A second wish is not heeded while the first is under way. */
  async #turn(from, earlier) {
    if (this.#isTurning || from === undefined) return;
    this.#isTurning = true;
    try {
      await this.#load(from, earlier);
      if (this.#table.getBoundingClientRect().top < 0) this.#table.scrollIntoView();
    } finally {
      this.#isTurning = false;
    }
  }

  #draw(rows, selected) {
    const { kind, collection } = this.#given;
    const onopen = (key) => this.#page.attempt(() => this.#open(key));
    const onselect = this.#page.isPast ? undefined : (keys) => this.#select(keys);
    return drawTable({ rows, kind, collection, selected, onopen, onselect });
  }

  #select(keys) {
    this.#selected = keys;
    this.#delete.disabled = keys.length === 0;
    this.#delete.textContent = keys.length === 0 ? "Delete selected" : `Delete ${number(keys.length)} selected`;
  }

  /** Counting reads every key, so the rows don't wait for it. */
  async #showPlace(shown) {
    const turn = ++this.#counts;
    const { position } = this.#from;
    const known = position !== undefined && shown > 0;
    const range = known ? `${number(position + 1)} – ${number(position + shown)}` : number(shown);
    this.#place.textContent = range;
    delete this.#place.dataset.total;
    const total = await this.#rows.count().catch(() => undefined);
    if (total === undefined || turn !== this.#counts) return;
    this.#place.textContent = `${range} of ${counted(total, "row")}`;
    this.#place.dataset.total = String(total);
  }

  #seeking() {
    const name = this.#given.kind === "kv" ? "From key" : "From id";
    const input = element("input", { type: "search", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
    const seek = async () => {
      await this.#turn(input.value === "" ? this.#rows.start : await this.#rows.seek(input.value), []);
    };
    const onsubmit = (event) => {
      event.preventDefault();
      this.#page.attempt(seek);
    };
    return element(
      "form",
      { class: "seek", role: "search", onsubmit },
      field(name, input),
      element("button", {}, "Go"),
    );
  }

  async #open(key) {
    const { database, kind, collection } = this.#given;
    const value = await this.#rows.get(key);
    if (value === undefined) throw new Error("the row was deleted since this page was shown");
    const done = await editRow({ database, kind, collection, key, value, readOnly: this.#page.isPast });
    if (done === undefined) return;
    const words = `${rowName(kind, key)} ${done.outcome}`;
    await this.#wrote(`${rowName(kind, key)} was ${done.outcome} in ${database.name}.`, words, done.version);
  }

  async #add() {
    const { database, kind, collection } = this.#given;
    const made = await addRow({ database, kind, collection });
    if (made === undefined) return;
    await this.#wrote(`${made.key} was added to ${database.name}.`, `${made.key} added`, made.version);
  }

  async #deleteSelected() {
    const { database, kind, collection, origin } = this.#given;
    const keys = this.#selected;
    const what = counted(keys.length, "row");
    const other = origin === undefined ? "" : ` ${origin} is not touched.`;
    let [deleted, version] = [0, undefined];
    const isDone = await confirm(`Delete ${what}?`, `They go from ${database.name}.${other}`, "Delete", async () => {
      version = await committing(database, kind, collection, async (rows) => (deleted = await rows.deleteMany(keys)));
    });
    if (!isDone) return;
    const words = `${counted(deleted, "row")} deleted`;
    await this.#wrote(`${words} from ${database.name}.`, words, version);
    // The button that had the focus is disabled now, since nothing is selected.
    this.#table.focus({ preventScroll: true });
  }

  /** `words` name what was done, so that it can be taken back. */
  #wrote(news, words, version) {
    const { database, origin } = this.#given;
    this.#page.record(database, version, words);
    return this.#page.wrote(origin === undefined ? news : `${news} ${origin} was not touched.`);
  }
}
