/** Conflicts, row by row, with what each side says; the person chooses for a field, for a row, or for all. */
import { button, element } from "./dom.js";
import { format, formatFlat, parse } from "./text.js";
import { counted, differenceIn, number } from "./words.js";

/** Characters of a value that are shown: as many as a person still compares. */
const LENGTH = 4000;
/** Text that is longer than this is shown from a little before the place where the sides differ. */
const LONG = 200;
/** Rows of the field for another value. */
const MOST_ROWS = 12;
/** The most conflicts that are shown one by one; the others are settled together. */
const MOST_SHOWN = 200;

export class ConflictView {
  element = element("div", { class: "conflicts" });
  #sides;
  #items = [];
  /** The conflicts that are not shown, and the group by which they are settled. */
  #rest = new Set();
  #together;
  #settled = element("p", { class: "note", role: "status" });

  /** `sides` are the names of base, clone and origin. */
  constructor(sides) {
    this.#sides = sides;
    this.element.addEventListener("change", () => this.#count());
  }

  /** A conflict that was shown before, and is the same, keeps what was chosen for it. */
  show(conflicts) {
    const before = new Map(this.#items.map((item) => [item.mark, item]));
    this.#items = conflicts.slice(0, MOST_SHOWN).map((conflict, index) => {
      return before.get(markOf(conflict)) ?? new ConflictItem(conflict, this.#sides, `${Date.now()}-${index}`);
    });
    const rows = new Map();
    for (const item of this.#items) rows.set(item.row, [...(rows.get(item.row) ?? []), item]);
    const all = this.#items.length > 1 ? this.#choices("For all of them", this.#items) : undefined;
    const head = element("div", { class: "conflict-head" }, this.#settled, all);
    this.#rest = new Set(conflicts.slice(MOST_SHOWN).map(markOf));
    this.#together = this.#rest.size === 0 ? undefined : this.#drawRest();
    const drawn = [...rows.values()].map((items) => this.#drawRow(items));
    this.element.replaceChildren(head, ...drawn, ...(this.#together === undefined ? [] : [this.#together]));
    this.element.hidden = conflicts.length === 0;
    this.#count();
  }

  /** @returns what settles a conflict, as merge asks for it: one that was not shown like this stays a conflict */
  read() {
    const chosen = new Map(this.#items.map((item) => [item.mark, item.read()]));
    const rest = this.#together?.querySelector(":checked")?.value ?? "fail";
    return (conflict) => {
      const mark = markOf(conflict);
      return chosen.get(mark) ?? (this.#rest.has(mark) ? rest : "fail");
    };
  }

  #drawRest() {
    const words = `${counted(this.#rest.size, "other conflict")}, all from`;
    const side = (name) => {
      const radio = element("input", { type: "radio", name: "rest", value: name, required: true });
      return element("label", { class: "check" }, radio, this.#sides[name]);
    };
    const properties = { class: "conflict-row choices", role: "radiogroup", "aria-label": words };
    return element("div", properties, element("span", {}, words), side("clone"), side("origin"));
  }

  #drawRow(items) {
    const [{ conflict }] = items;
    const name = nameOf(conflict);
    const title = element("h3", {}, element("span", { class: "key" }, name), element("small", {}, conflict.collection));
    const whole = items.length > 1 ? this.#choices(`For ${name}`, items) : undefined;
    const body = items.map((item) => item.element);
    return element("section", { class: "conflict-row", "aria-label": name }, title, whole, body);
  }

  #choices(words, items) {
    const choose = (side) => () => {
      for (const item of items) item.choose(side);
      const others = items === this.#items ? this.#together?.querySelector(`[value=${side}]`) : undefined;
      if (others != null) others.checked = true;
      this.#count();
    };
    const { clone, origin } = this.#sides;
    const buttons = [button(clone, choose("clone")), button(origin, choose("origin"))];
    const properties = { class: "choices", role: "group", "aria-label": words };
    return element("div", properties, element("span", {}, words), buttons);
  }

  #count() {
    const others = this.#together?.querySelector(":checked") == null ? 0 : this.#rest.size;
    const settled = this.#items.filter((item) => item.isSettled).length + others;
    const all = this.#items.length + this.#rest.size;
    this.#settled.textContent = `${number(settled)} of ${counted(all, "conflict")} settled`;
  }
}

const nameOf = ({ kind, key }) => (kind === "kv" ? formatFlat(key) : key);
const textOf = (value) => (value === undefined ? undefined : formatFlat(value));

/** A conflict with all that was seen of it: when one side is written again, it is another one. */
function markOf({ reason, collection, kind, key, field, index, otherKey, base, clone, origin }) {
  const values = [base, clone, origin].map(textOf);
  return JSON.stringify([reason, collection, kind, formatFlat(key), field, index, textOf(otherKey), values]);
}

/** One field of a row, or the whole of it, as a group of radio buttons. */
class ConflictItem {
  #radios = {};
  #own = element("textarea", { class: "code", spellcheck: "false", autocapitalize: "off" });

  constructor(conflict, sides, group) {
    this.conflict = conflict;
    this.mark = markOf(conflict);
    this.row = JSON.stringify([conflict.collection, conflict.kind, formatFlat(conflict.key)]);
    const what = conflict.field ?? "the whole row";
    this.#own.value = this.#text(conflict.clone ?? conflict.origin) ?? "";
    this.#own.rows = Math.min(MOST_ROWS, Math.max(2, this.#own.value.split("\n").length));
    this.#own.setAttribute("aria-label", `Another value of ${what}`);
    this.#own.addEventListener("input", () => this.choose("own"));
    const radio = (side) => {
      this.#radios[side] = element("input", { type: "radio", name: group, value: side, required: true });
      return this.#radios[side];
    };
    const side = (name) => {
      return element("label", { class: "side" }, radio(name), this.#drawSide(sides, name));
    };
    const base = element("div", { class: "side base" }, this.#drawSide(sides, "base"));
    const hint = element("small", {}, conflict.field === undefined ? "Empty: no row" : "Empty: no such field");
    const own = element("div", { class: "own" });
    own.append(element("label", {}, radio("own"), " Another value ", hint), this.#own);
    const title = element("p", { class: "conflict-field" }, conflict.field ?? reasonOf(conflict));
    const properties = { class: "conflict", role: "radiogroup", "aria-label": `${nameOf(conflict)}, ${what}` };
    this.element = element("div", properties, title, base, side("clone"), side("origin"), own);
  }

  get isSettled() {
    return this.#chosen !== undefined;
  }

  get #chosen() {
    return Object.keys(this.#radios).find((side) => this.#radios[side].checked);
  }

  choose(side) {
    if (this.#radios[side].checked) return;
    this.#radios[side].checked = true;
    this.#radios[side].dispatchEvent(new Event("change", { bubbles: true }));
  }

  read() {
    const side = this.#chosen;
    if (side !== "own") return side;
    const text = this.#own.value;
    if (text.trim() === "") return { value: undefined };
    try {
      const value = parse(text);
      return { value: this.#isDocument ? { ...value, id: this.conflict.key } : value };
    } catch (error) {
      this.#own.focus();
      throw new Error(`${nameOf(this.conflict)}: ${error.message}`);
    }
  }

  get #isDocument() {
    return this.conflict.kind === "documents" && this.conflict.field === undefined;
  }

  #text(value) {
    if (value === undefined || !this.#isDocument) return value === undefined ? undefined : format(value);
    const { id, ...fields } = value;
    return format(fields);
  }

  #drawSide(sides, name) {
    const whole = this.#text(this.conflict[name]);
    const other = this.#text(name === "clone" ? this.conflict.origin : this.conflict.clone);
    const from = differenceIn(whole, other, LONG);
    const text = whole === undefined ? undefined : `${from === 0 ? "" : "…"}${whole.slice(from, from + LENGTH)}`;
    const absent = this.conflict.field === undefined ? "no row" : "no such field";
    const shown = text === undefined ? element("em", {}, absent) : element("code", {}, text);
    return [element("span", { class: "side-name" }, sides[name]), shown];
  }
}

function reasonOf({ reason, index, clone, origin }) {
  if (reason === "unique") return `both may not be there: ${index}`;
  const isBoth = clone !== undefined && origin !== undefined;
  return isBoth ? "the whole of it, changed on both sides" : "deleted on one side, changed on the other";
}
