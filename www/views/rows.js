/** The rows of one collection, to page through, open, select and delete. */
import { confirm } from "../dialogs.js";
import { button, element, field } from "../dom.js";
import { addRow, editRow } from "../editor.js";
import { PAGE, rowsOf } from "../rows.js";
import { formatFlat } from "../text.js";
import { counted, number, shortened } from "../words.js";

const COLUMNS = 5;

export async function rowsView(page, { database, reader, kind, collection, origin }) {
  const view = new RowsView(page, { database, reader, kind, collection, origin });
  await view.load(view.rows.start);
  return view.element;
}

class RowsView {
  #page;
  #given;
  #from;
  #next;
  /** The pages before this one, as far as they were seen. */
  #earlier = [];
  #selected = new Map();
  #table = element("div", { class: "table-frame" });
  #place = element("span", { class: "place" });
  #counting = 0;

  constructor(page, given) {
    this.#page = page;
    this.#given = given;
    this.rows = rowsOf(given.reader, given.kind, given.collection);
    const { isPast } = page;
    const go = (find) => () => page.attempt(() => this.#go(find()));
    this.firstButton = button(
      "First",
      go(() => this.#restart(this.rows.start)),
    );
    this.previousButton = button(
      "Previous",
      go(() => this.#earlier.pop() ?? this.rows.before(this.#from)),
    );
    this.nextButton = button(
      "Next",
      go(() => (this.#earlier.push(this.#from), this.#next)),
    );
    this.deleteButton = button("Delete selected", () => page.attempt(() => this.#delete()), { class: "danger" });
    const add = button("New row", () => page.attempt(() => this.#add()));
    const pager = [this.firstButton, this.previousButton, this.nextButton, this.#place];
    this.element = element(
      "div",
      { class: "rows" },
      element("div", { class: "toolbar" }, this.#seeking(), isPast ? [] : [add, this.deleteButton]),
      this.#table,
      element("nav", { class: "pager", "aria-label": "Pages" }, pager),
    );
  }

  async load(from) {
    const { rows, next } = await this.rows.page(from);
    this.#from = from;
    this.#next = next;
    this.#selected.clear();
    this.#table.replaceChildren(
      rows.length === 0 ? element("p", { class: "empty" }, "No rows here.") : this.#draw(rows),
    );
    this.#showSelection();
    this.firstButton.disabled = from.position === 0;
    this.previousButton.disabled = this.#earlier.length === 0 && this.rows.before(from) === undefined;
    this.nextButton.disabled = next === undefined;
    this.#showPlace(rows.length);
  }

  #restart(from) {
    this.#earlier = [];
    return from;
  }

  async #go(from) {
    if (from === undefined) return;
    await this.load(from);
    this.#table.scrollIntoView({ block: "nearest" });
  }

  /** Counting reads every key, so the rows don't wait for it. */
  async #showPlace(shown) {
    const turn = ++this.#counting;
    const { position } = this.#from;
    const range =
      position === undefined ? counted(shown, "row") : `${number(position + 1)} – ${number(position + shown)}`;
    this.#place.textContent = shown === 0 ? "" : range;
    const total = await this.rows.count().catch(() => undefined);
    if (total === undefined || turn !== this.#counting) return;
    this.#place.textContent = shown === 0 ? counted(total, "row") : `${range} of ${counted(total, "row")}`;
    this.#place.dataset.total = String(total);
  }

  #seeking() {
    const isEntries = this.#given.kind === "kv";
    const input = element("input", { type: "search", autocomplete: "off", spellcheck: "false", autocapitalize: "off" });
    const onsubmit = (event) => {
      event.preventDefault();
      this.#page.attempt(async () => {
        this.#restart();
        await this.load(input.value === "" ? this.rows.start : await this.rows.seek(input.value));
      });
    };
    const name = isEntries ? "From key" : "From id";
    return element(
      "form",
      { class: "seek", role: "search", onsubmit },
      field(name, input),
      element("button", {}, "Go"),
    );
  }

  #draw(rows) {
    const { kind } = this.#given;
    const names = kind === "kv" ? ["value"] : columns(rows.map(([, value]) => value));
    const pick = element("input", { type: "checkbox", "aria-label": "Select all rows of this page" });
    const boxes = [];
    pick.addEventListener("change", () => {
      for (const box of boxes) if (box.checked !== pick.checked) box.click();
    });
    const heads = [kind === "kv" ? "key" : "id", ...names];
    const head = element(
      "tr",
      { role: "row" },
      this.#page.isPast ? [] : element("th", { role: "columnheader", class: "pick" }, pick),
      heads.map((name) => element("th", { role: "columnheader", scope: "col" }, name)),
    );
    const body = rows.map((row) => this.#row(row, names, boxes));
    // On a narrow screen rows are laid out as cards, which would end the table for a screen reader but for the roles.
    return element(
      "table",
      { role: "table", "aria-label": `Rows of ${this.#given.collection}` },
      element("thead", { role: "rowgroup" }, head),
      element("tbody", { role: "rowgroup" }, body),
    );
  }

  #row([key, value], names, boxes) {
    const { kind } = this.#given;
    const name = kind === "kv" ? formatFlat(key) : key;
    const box = element("input", { type: "checkbox", "aria-label": `Select ${name}` });
    box.addEventListener("change", () => {
      if (box.checked) this.#selected.set(name, key);
      else this.#selected.delete(name);
      this.#showSelection();
    });
    boxes.push(box);
    const open = button(name, () => this.#page.attempt(() => this.#open(key)), { class: "open" });
    const cells = kind === "kv" ? [cell("value", value, 160)] : names.map((field) => cell(field, value[field], 60));
    return element(
      "tr",
      { role: "row" },
      this.#page.isPast ? [] : element("td", { role: "cell", class: "pick" }, box),
      element("th", { role: "rowheader", scope: "row" }, open),
      cells,
    );
  }

  #showSelection() {
    const count = this.#selected.size;
    this.deleteButton.disabled = count === 0;
    this.deleteButton.textContent = count === 0 ? "Delete selected" : `Delete ${number(count)} selected`;
  }

  async #open(key) {
    const { database, kind, collection } = this.#given;
    const value = await this.rows.get(key);
    if (value === undefined) throw new Error("the row was deleted since this page was shown");
    const outcome = await editRow({ database, kind, collection, key, value, readOnly: this.#page.isPast });
    if (outcome === undefined) return;
    await this.#changed(`${kind === "kv" ? formatFlat(key) : key} was ${outcome} in ${database.name}.`);
  }

  async #add() {
    const { database, kind, collection } = this.#given;
    const key = await addRow({ database, kind, collection });
    if (key !== undefined) await this.#changed(`${key} was added to ${database.name}.`);
  }

  async #delete() {
    const { database, kind, collection, origin } = this.#given;
    const keys = [...this.#selected.values()];
    const what = counted(keys.length, "row");
    const keeps = origin === undefined ? "" : ` ${origin} keeps them.`;
    const rows = kind === "kv" ? database.kv(collection) : database.collection(collection);
    let deleted = 0;
    const isDone = await confirm(`Delete ${what}?`, `They go from ${database.name}.${keeps}`, "Delete", async () => {
      deleted = await rows.deleteMany(keys);
    });
    if (isDone) await this.#changed(`${counted(deleted, "row")} deleted from ${database.name}.`);
  }

  async #changed(news) {
    await this.load(this.#from);
    this.#page.say(news);
    await this.#page.changed();
  }
}

/** The fields that most rows have, short ones before nested ones. */
function columns(values) {
  const seen = new Map();
  for (const value of values) {
    for (const [name, item] of Object.entries(value)) {
      if (name === "id") continue;
      const isNested = typeof item === "object" && item !== null && Object.getPrototypeOf(item) === Object.prototype;
      seen.set(name, (seen.get(name) ?? 0) + (isNested ? 1 : PAGE));
    }
  }
  return [...seen]
    .sort(([, a], [, b]) => b - a)
    .slice(0, COLUMNS)
    .map(([name]) => name);
}

function cell(name, value, length) {
  const isText = typeof value === "string";
  const text = value === undefined ? "" : isText ? value : formatFlat(value);
  const shown = shortened(text, length);
  return element("td", { role: "cell", "data-name": name, class: isText ? undefined : `kind-${typeof value}` }, shown);
}
