/** The changes of a clone since it left its origin, row by row: to be merged, rebased or forgotten. */
import { confirm } from "../dialogs.js";
import { button, element } from "../dom.js";
import { reportWords, settle } from "../merging.js";
import { counted, number, point } from "../words.js";
import { changeId, changeName } from "./change.js";
import { ChangeList } from "./changelist.js";

/** The most changes that are counted of those that are left. */
const MOST_COUNTED = 10_000;

export async function changesView(page, given) {
  const view = new ChangesView(page, given);
  await view.reload();
  return { element: view.element, reload: () => view.reload() };
}

class ChangesView {
  #page;
  #given;
  #list;
  /** The snapshot whose changes are shown, open while they are; undefined while the page shows the past. */
  #reviewed;
  /** The rows that are ticked: true for a whole row, or the ticked fields of an update. */
  #ticks = new Map();
  #boxes = new Map();
  #merge;
  #reset;
  #rebase;
  #all = element("input", { type: "checkbox", id: "tick-all", onchange: () => this.#tickAll() });
  #picking;

  constructor(page, given) {
    this.#page = page;
    this.#given = given;
    const { origin } = given;
    const boxesOf = page.isPast ? undefined : (change) => this.#boxesOf(change);
    this.#list = new ChangeList(page, { summarize: (list) => this.#summarize(list), boxesOf });
    const act = (work, properties) => button("", () => page.attempt(work), properties);
    this.#merge = act(() => this.#mergeThem(), { class: "primary", id: "merge" });
    this.#reset = act(() => this.#resetThem(), { class: "danger", id: "reset" });
    this.#rebase = button(`Rebase onto ${origin}`, () => page.attempt(() => this.#rebaseIt()), { id: "rebase" });
    this.#picking = element("label", { class: "check" }, this.#all, "All that are shown");
    const tools = element("div", { class: "toolbar" }, this.#picking, this.#reset, this.#rebase, this.#merge);
    const [summary, ...rest] = this.#list.elements;
    this.element = element("div", {}, summary, page.isPast ? undefined : tools, rest);
    page.onLeave(() => this.#reviewed?.close());
  }

  async reload() {
    const { database, snapshot } = this.#given;
    const before = this.#reviewed;
    const reviewed = snapshot === undefined ? await database.at(database.version) : undefined;
    this.#reviewed = reviewed;
    await before?.close();
    this.#boxes.clear();
    await this.#list.read(database.diff({ at: (reviewed ?? snapshot).version }));
    const here = new Set(this.#list.changes.map(changeId));
    for (const id of this.#ticks.keys()) if (!here.has(id)) this.#ticks.delete(id);
    this.#showTicks();
  }

  #summarize({ changes, isDone, counts }) {
    const { database, origin, asOf } = this.#given;
    const [name, from] = [database.name, `${origin} ${point(asOf)}`];
    if (changes.length === 0) return `${name} has changed nothing: every row is read from ${from}.`;
    if (!isDone) return `The first ${counts}, compared with ${from}.`;
    const all = counted(changes.length, "row");
    return `${all} of its own, compared with ${from}: ${counts}. ${origin} itself has none of these changes.`;
  }

  // Ticks

  #boxesOf(change) {
    const id = changeId(change);
    const name = changeName(change);
    const box = (label, onchange, mark) => {
      const properties = { type: "checkbox", "aria-label": label, onchange, id: `tick ${mark} ${id}` };
      return element("input", properties);
    };
    const row = box(`Select ${name}`, () => this.#tick(id, row.checked), "row");
    const names = change.op === "update" && change.fields.length > 1 ? change.fields : [];
    const fields = new Map();
    for (const field of names) {
      const tick = () => this.#tickFields(id, names.filter((each) => fields.get(each).checked), names);
      fields.set(field, box(`Select ${field} of ${name}`, tick, field));
    }
    this.#boxes.set(id, { row, fields });
    this.#showTicksOf(id);
    return { row, fields };
  }

  #tick(id, isTicked) {
    if (isTicked) this.#ticks.set(id, true);
    else this.#ticks.delete(id);
    this.#showTicks();
  }

  #tickFields(id, ticked, all) {
    if (ticked.length === 0) this.#ticks.delete(id);
    else this.#ticks.set(id, ticked.length === all.length ? true : ticked);
    this.#showTicks();
  }

  #tickAll() {
    this.#ticks.clear();
    if (this.#all.checked) for (const id of this.#boxes.keys()) this.#ticks.set(id, true);
    this.#showTicks();
  }

  #showTicksOf(id) {
    const { row, fields } = this.#boxes.get(id);
    const ticked = this.#ticks.get(id);
    row.checked = ticked === true;
    row.indeterminate = Array.isArray(ticked);
    for (const [name, box] of fields) box.checked = ticked === true || (ticked?.includes(name) ?? false);
  }

  #showTicks() {
    const { origin } = this.#given;
    for (const id of this.#boxes.keys()) this.#showTicksOf(id);
    const count = this.#ticks.size;
    const which = count === 0 ? "all" : `${number(count)} selected`;
    this.#merge.textContent = `Merge ${which} into ${origin}`;
    this.#reset.textContent = `Reset ${which}`;
    this.#all.checked = count > 0 && count === this.#boxes.size;
    this.#all.indeterminate = count > 0 && count < this.#boxes.size;
    const isEmpty = this.#list.changes.length === 0;
    this.#picking.hidden = isEmpty;
    const focused = document.activeElement;
    this.#merge.disabled = this.#reset.disabled = isEmpty;
    // A button that can't be used any more loses the focus.
    if (focused?.disabled) this.#list.focus();
  }

  /** The ticked rows and fields as the option `only` of merge and reset, which is left out if nothing is ticked. */
  get #only() {
    if (this.#ticks.size === 0) return {};
    const ticks = new Map(this.#ticks);
    return { only: (change) => ticks.get(changeId(change)) ?? false };
  }

  // Actions on the ticked changes

  async #mergeThem() {
    const { database, origin } = this.#given;
    const { name } = database;
    // Changes that are written meanwhile were not reviewed, and stay in the clone.
    const options = { ...this.#only, at: this.#reviewed.version };
    const count = this.#ticks.size;
    const report = await settle({
      title: `Merge ${count === 0 ? "all" : `${number(count)} selected`} of ${name} into ${origin}?`,
      about: `Both changed the same since ${name} was made. What is to be there?`,
      action: `Merge into ${origin}`,
      sides: { base: "Before", clone: name, origin },
      describe: (trial) => `${countsOf(trial)} in ${origin}, in one commit.`,
      run: (how) => database.merge({ ...options, ...how }),
    });
    if (report === undefined) return;
    this.#ticks.clear();
    if (report.outcome === "merged") {
      this.#page.record(await this.#page.store.database(origin), report.version, `the merge of ${name}`);
    }
    const left = await countChanges(database);
    const rest = left === 0 ? `Nothing is left in ${name}.` : `${counted(left, "changed row")} left in ${name}.`;
    await this.#page.wrote(`Merged into ${origin}: ${reportWords(report)}. ${rest}`);
    this.#list.focus();
  }

  async #rebaseIt() {
    const { database, origin } = this.#given;
    const { name } = database;
    const report = await settle({
      title: `Rebase ${name} onto ${origin} as it is now?`,
      about: `Both changed the same since ${name} was made. What is to be there?`,
      action: "Rebase",
      sides: { base: "Before", clone: name, origin },
      describe: (trial) => `${name} then reads ${origin} as it is now, and keeps of its own: ${countsOf(trial)}.`,
      run: (how) => database.rebase(how),
    });
    if (report === undefined) return;
    const left = await countChanges(database);
    await this.#page.wrote(
      `${name} reads ${origin} as it is now${report.conflicts.length > 0 ? `, ${reportWords(report)}` : ""}. ` +
        `${counted(left, "changed row")} of its own.`,
    );
    this.#list.focus();
  }

  async #resetThem() {
    const { database, origin } = this.#given;
    const { name } = database;
    const count = this.#ticks.size;
    const options = this.#only;
    const what = count === 0 ? "everything that it changed" : `what is selected of ${counted(count, "row")}`;
    const text = `${name} forgets ${what}, and reads it from ${origin} again. ${origin} is not touched.`;
    const title = `Reset ${count === 0 ? name : "what is selected"}?`;
    const isDone = await confirm(title, text, "Reset", () => database.reset(options));
    if (!isDone) return;
    this.#ticks.clear();
    this.#page.undoing.forget(name);
    const left = await countChanges(database);
    await this.#page.wrote(`Reset. ${counted(left, "changed row")} left in ${name}. ${origin} was not touched.`);
    this.#list.focus();
  }
}

const countsOf = (trial) => reportWords({ ...trial, conflicts: [] });

async function countChanges(database) {
  let count = 0;
  for await (const change of database.diff()) if (change !== undefined && ++count >= MOST_COUNTED) break;
  return count;
}
