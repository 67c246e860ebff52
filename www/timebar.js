/** Choosing a moment of the past: by a slider, change by change, or by the clock. */
import { button, element } from "./dom.js";
import { changeAfter, changeBefore, oldestMoment } from "./moments.js";
import { routeTo } from "./route.js";
import { point, time } from "./words.js";

const SECOND = 1000;
/** After the last of several presses of an arrow key, the moment is shown. */
const PAUSE = 250;

/** The time bar of the page. There is one: it stays while the moments that it shows change. */
export class TimeBar {
  #page;
  #given;
  #oldest = { time: 0, isPruned: false };
  #timer;
  #banner = element("div", { class: "past", hidden: true });
  #slider = element("input", { type: "range", id: "moment-slider", step: SECOND, "aria-label": "Moment of the past" });
  #shown = element("output", { class: "moment-shown", for: "moment-slider" });
  #bounds = element("p", { class: "bounds" });
  #clock = element("input", { type: "datetime-local", step: 1, required: true, "aria-label": "Moment" });
  #earlier;
  #later;
  #details;

  constructor(page) {
    this.#page = page;
    const step = (text, id, work) => button(text, () => page.attempt(work), { id });
    this.#earlier = step("Earlier change", "moment-earlier", () => this.#stepBack());
    this.#later = step("Later change", "moment-later", () => this.#stepOn());
    this.#slider.addEventListener("input", () => this.#slide());
    this.#slider.addEventListener("change", () => this.#slide());
    const onsubmit = (event) => {
      event.preventDefault();
      this.#go(new Date(this.#clock.value).getTime());
    };
    const form = element("form", { onsubmit }, this.#clock, element("button", {}, "Show"));
    const steps = element("div", { class: "steps" }, this.#earlier, this.#later, form);
    const summary = element("summary", { id: "moment" }, "As it was at…");
    const ontoggle = () => this.#details.open && page.attempt(() => this.#measure());
    const range = element("div", { class: "range" }, this.#slider, this.#shown);
    this.#details = element("details", { class: "moment", ontoggle }, summary, range, this.#bounds, steps);
    this.element = element("div", {}, this.#banner, this.#details);
  }

  /** `given` is what is shown: { route, info, database, snapshot }. */
  async show(given) {
    const isOther = this.#given?.database !== given.database;
    this.#given = given;
    clearTimeout(this.#timer);
    const { snapshot } = given;
    if (isOther) this.#details.open = snapshot !== undefined;
    this.#banner.hidden = snapshot === undefined;
    this.#banner.replaceChildren(...(snapshot === undefined ? [] : this.#drawBanner()));
    if (this.#details.open) await this.#measure();
  }

  #drawBanner() {
    const { route, snapshot, database } = this.#given;
    const { at, ...now } = route;
    const moment = time(new Date(at));
    const mark = element("strong", { class: "mark" }, "Read only");
    const text = snapshot.predatesClone
      ? `${database.name} was not made yet at ${moment}.`
      : `As it was at ${moment}, ${point(snapshot.version)}. It can be read, and cloned from there.`;
    const back = element("a", { href: routeTo(now), id: "moment-now" }, "Back to now");
    const onrestore = () => this.#page.restore(this.#given);
    const restore = snapshot.predatesClone ? undefined : button("Restore…", onrestore, { id: "restore" });
    const buttons = element("div", { class: "buttons" }, restore, back);
    return [element("p", {}, mark, " ", text), buttons];
  }

  /** Measures how far the bar goes back, anew each time: history grows, and its oldest part is given back. */
  async #measure() {
    const { database, info, route } = this.#given;
    const oldest = await oldestMoment(database, info.createdAt);
    if (database !== this.#given.database) return;
    this.#oldest = oldest;
    const now = Date.now();
    const at = route.at === undefined ? now : Date.parse(route.at);
    // In whole steps, so that the last of them is now; the first may lie before what is held.
    const steps = Math.max(1, Math.ceil((now - Math.min(oldest.time, at)) / SECOND));
    Object.assign(this.#slider, { min: now - steps * SECOND, max: now, value: at });
    const why = oldest.isPruned ? "history before it was given back" : `${database.name} was made`;
    this.#bounds.textContent = `From ${time(new Date(oldest.time))} (${why}) to now.`;
    this.#clock.value = localText(new Date(route.at === undefined ? now - 60 * SECOND : at));
    this.#tell(route.at === undefined ? undefined : at);
    const focused = document.activeElement;
    this.#later.disabled = route.at === undefined;
    if (focused === this.#later && this.#later.disabled) this.#earlier.focus();
  }

  #tell(at) {
    const words = at === undefined ? "now" : time(new Date(at));
    this.#shown.textContent = words;
    this.#slider.setAttribute("aria-valuetext", words);
  }

  #slide() {
    const wanted = Number(this.#slider.value);
    const at = wanted === Number(this.#slider.max) ? undefined : Math.max(wanted, this.#oldest.time);
    this.#tell(at);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#go(at), PAUSE);
  }

  async #stepBack() {
    await this.#measure();
    const { database, route } = this.#given;
    const from = route.at === undefined ? Date.now() : Date.parse(route.at);
    const before = await changeBefore(database, from, this.#oldest.time);
    if (before !== undefined) this.#go(before);
    else this.#page.say(`Nothing was changed in ${database.name} before this, as far as its history is held.`);
  }

  async #stepOn() {
    const { database, route } = this.#given;
    const after = await changeAfter(database, Date.parse(route.at));
    if (after !== undefined && (await changeAfter(database, after)) !== undefined) this.#go(after);
    else this.#go(undefined);
  }

  #go(at) {
    const { route } = this.#given;
    const to = routeTo({ ...route, at: at === undefined ? undefined : new Date(at).toISOString() });
    if (to !== location.hash) location.hash = to;
  }
}

/** A date in the form of datetime-local inputs, which know no time zone. */
function localText(date) {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
