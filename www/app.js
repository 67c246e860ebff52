/** The page: shows what the address asks for, and does what people ask. */
import * as actions from "./actions.js";
import { copyPanel } from "./copying.js";
import { askToDestroy, showProblem } from "./dialogs.js";
import { button, element, keepingFocus } from "./dom.js";
import { chooseView, heading, tabs } from "./heading.js";
import { Importer } from "./importer.js";
import { picture } from "./lineage.js";
import { readRoute, routeTo } from "./route.js";
import { Store } from "./store.js";
import { coalesced, OtherTabs } from "./tabs.js";
import { Tasks } from "./task.js";
import { TimeBar } from "./timebar.js";
import { Undoing } from "./undoing.js";
import { changesView } from "./views/changes.js";
import { figuresView } from "./views/figures.js";
import { importView } from "./views/import.js";
import { rowsView } from "./views/rows.js";
import { sinceView } from "./views/since.js";
import { counted } from "./words.js";

const place = (id) => document.getElementById(id);

/** Each view makes { element, reload }. `reload` reads anew in place; a view without it does not change by itself. */
const VIEWS = { rows: rowsView, changes: changesView, since: sinceView, figures: figuresView, import: importView };

class Page {
  importer = new Importer();
  tasks = new Tasks();
  undoing = new Undoing();
  /** An earlier moment is shown, which can't be written. */
  isPast = false;
  #tabs = new OtherTabs("offshoot-page");
  #timeBar = new TimeBar(this);
  store;
  databases = [];
  route = readRoute(location.hash);
  /** The view that is shown, and what it was made from. */
  #shown;
  #leaving = [];
  #turn = 0;
  /** The news that is shown once the address has changed. */
  #newsOfNext = "";
  #update = coalesced(() => this.#trying(() => this.#readAgain()));

  async start() {
    addEventListener("hashchange", () => {
      // Back and Forward work while a dialog is open; it belongs to what was shown before.
      for (const dialog of document.querySelectorAll("dialog")) dialog.close();
      place("problem").hidden = true;
      this.say(this.#newsOfNext);
      this.#newsOfNext = "";
      this.#trying(() => this.#show());
    });
    this.#tabs.listen(async (version) => {
      // The version may be of a store that is gone by now. If this store is broken, the read below fails and says so.
      await this.store?.catchUp(version).catch(() => undefined);
      await this.#update();
    });
    document.addEventListener("visibilitychange", () => {
      // A writer that is no page like this one, such as another script, does not tell this tab: so read again.
      if (!document.hidden && !this.importer.isBusy) this.#update();
    });
    document.addEventListener("keydown", (event) => this.#heedKey(event));
    new ResizeObserver(() => this.#drawLineage()).observe(place("picture"));
    await this.#open();
  }

  /** Does the work that the person asked for, and shows its error if it fails. */
  async attempt(work) {
    place("problem").hidden = true;
    this.say("");
    await this.#trying(work);
  }

  say(news) {
    place("news").textContent = news;
  }

  /** For what must end when the view that is being made is replaced by another. */
  onLeave(work) {
    this.#leaving.push(work);
  }

  /** Shows anew what the address asks for. */
  refresh() {
    return this.attempt(() => this.#show());
  }

  /** Something was written here: this page reads it again, and so do those in other tabs. */
  async wrote(news) {
    this.tellTabs();
    await this.#update();
    this.say(news);
  }

  go(route, news) {
    this.#newsOfNext = news;
    const to = routeTo(route);
    if (to === location.hash) return this.#show().then(() => this.say(news));
    location.hash = to;
    return undefined;
  }

  restore(given) {
    const { database, snapshot, route } = given;
    return this.attempt(() => actions.restore(this, { database, snapshot, at: route.at }));
  }

  /** Something was written here that can be taken back. `words` say what: "row-1000 saved". */
  record(database, version, words) {
    if (version !== undefined) this.undoing.record(database.name, version, words);
  }

  async destroy() {
    await Store.destroy();
    this.say("The store was deleted.");
  }

  tellTabs() {
    if (this.store !== undefined) this.#tabs.tell(this.store.version);
  }

  async #trying(work) {
    try {
      await work();
    } catch (error) {
      showProblem(place("problem"), error);
    }
  }

  async #open() {
    await this.attempt(async () => {
      try {
        this.store = await Store.open();
      } catch (error) {
        this.#showUnopened();
        throw error;
      }
      this.store.closed.then((reason) => this.#showClosed(reason));
      place("mode").textContent = this.store.isKept ? "kept in IndexedDB" : "in memory, gone after a reload";
      await this.#show();
    });
    document.documentElement.dataset.ready = "true";
  }

  #showUnopened() {
    const again = button("Try again", () => this.#open(), { class: "primary" });
    const remove = async () => {
      if (await askToDestroy(() => this.destroy())) await this.#open();
    };
    const clear = button("Delete the store", () => this.attempt(remove), { class: "danger" });
    const buttons = element("div", { class: "buttons start" }, again, clear);
    place("database").replaceChildren(element("h2", {}, "The store could not be opened"), buttons);
  }

  /** Says that the store is closed, as it is once this tab or another one deletes it. The button opens it anew. */
  #showClosed(reason) {
    this.store = undefined;
    this.databases = [];
    this.#shown = undefined;
    this.undoing = new Undoing();
    this.tasks = new Tasks();
    this.#turn++;
    for (const dialog of document.querySelectorAll("dialog")) dialog.close();
    const again = button("Open a new one", () => {
      history.replaceState(null, "", location.pathname);
      this.#open();
    });
    const words = element("p", {}, reason === undefined ? "It was closed." : `${reason.code}: ${reason.message}`);
    const buttons = element("div", { class: "buttons start" }, again);
    place("database").replaceChildren(element("h2", {}, "The store is closed"), words, buttons);
    place("picture").replaceChildren();
    again.focus();
  }

  async #readDatabases() {
    this.databases = await this.store.databases();
    this.#drawLineage();
  }

  #drawLineage() {
    const frame = place("picture");
    const width = Math.floor(frame.clientWidth);
    if (this.databases.length === 0 || width === 0) return;
    place("lineage-title").textContent = counted(this.databases.length, "database");
    keepingFocus(() => frame.replaceChildren(picture(this.databases, this.route, width)));
    const current = frame.querySelector(".current.database");
    if (current === null || frame.dataset.current === this.route.database) return;
    // Where there are many, the picture is a window on them: on the one that is shown below, until it is scrolled.
    frame.dataset.current = this.route.database;
    const [outer, inner] = [frame.getBoundingClientRect(), current.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom) {
      frame.scrollTop += (inner.top + inner.bottom - outer.top - outer.bottom) / 2;
    }
  }

  async #show() {
    if (this.store === undefined) return;
    const turn = ++this.#turn;
    const route = readRoute(location.hash);
    try {
      await this.#showRoute(route, () => turn !== this.#turn);
    } catch (error) {
      // The person went elsewhere meanwhile, so the snapshot may be closed already: ignore an error that came of that.
      if (turn !== this.#turn) return;
      this.#showFailed(route);
      throw error;
    }
  }

  async #showRoute(route, isLate) {
    this.route = route;
    runAll(this.#leaving.splice(0));
    await this.#readDatabases();
    const database = await this.store.database(route.database);
    const collections = await database.collections();
    const snapshot = route.at === undefined ? undefined : await database.at(new Date(route.at));
    if (snapshot !== undefined) this.onLeave(() => snapshot.close());
    if (isLate()) return;
    const info = this.databases.find(({ name }) => name === route.database);
    const shown = chooseView(route, collections, info.origin);
    this.route = { ...route, view: shown.view, collection: shown.collection };
    this.isPast = snapshot !== undefined;
    const { origin, asOf } = info;
    const given = { ...shown, database, reader: snapshot ?? database, snapshot, origin, asOf, collections };
    const view = await VIEWS[shown.view](this, given);
    if (isLate()) return;
    document.title = `${route.database} · Offshoot`;
    this.#drawLineage();
    const copying = copyPanel(this, database, info);
    await this.#timeBar.show({ route: this.route, info, database, snapshot });
    if (isLate()) return;
    const choice = tabs(route, shown, collections, info.origin);
    const drawHead = (now) => this.#drawHead(database, now, copying);
    const head = drawHead(info);
    this.#shown = { ...viewMark(shown, info, collections), reload: view.reload, choice, head, drawHead };
    const draw = () => {
      place("database").classList.toggle("is-past", this.isPast);
      place("database").replaceChildren(head, copying.element, this.#timeBar.element, choice, view.element);
    };
    keepingFocus(draw, choice.querySelector("[aria-current]"));
  }

  #drawHead(database, info, copying) {
    const next = (which) => (this.isPast ? undefined : this.undoing.next(info.name, which));
    const turn = (which) => () => this.attempt(() => actions.undo(this, database, which));
    const on = {
      clone: () => this.attempt(() => actions.clone(this, this.route)),
      drop: () => this.attempt(() => actions.drop(this, this.databases.find(({ name }) => name === info.name))),
      materialize: copying.start,
      undo: turn("undo"),
      redo: turn("redo"),
    };
    return heading(info, { on, next: { undo: next("undo"), redo: next("redo") }, isPast: this.isPast });
  }

  #heedKey(event) {
    const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
    const isTyping = event.target.closest?.("input:not([type=checkbox]), textarea, select, dialog") != null;
    if (!isUndo || isTyping) return;
    document.getElementById(event.shiftKey ? "redo" : "undo")?.click();
  }

  /** Something was written, here or in another tab: the person's place stays, unless what is shown has gone. */
  async #readAgain() {
    if (this.store === undefined) return;
    const turn = this.#turn;
    await this.#readDatabases();
    const route = readRoute(location.hash);
    const info = this.databases.find(({ name }) => name === route.database);
    if (info === undefined) this.undoing.forget(route.database);
    if (info === undefined || this.#shown === undefined) return this.#show();
    const collections = await (await this.store.database(route.database)).collections();
    if (turn !== this.#turn) return;
    const shown = chooseView(route, collections, info.origin);
    const mark = viewMark(shown, info, collections);
    if (mark.view !== this.#shown.view) return this.#show();
    if (mark.tabs !== this.#shown.tabs) {
      const choice = tabs(route, shown, collections, info.origin);
      keepingFocus(() => this.#shown.choice.replaceWith(choice));
      Object.assign(this.#shown, { choice, tabs: mark.tabs });
    }
    const head = this.#shown.drawHead(info);
    keepingFocus(() => this.#shown.head.replaceWith(head), head.querySelector("#undo, #redo, #clone"));
    this.#shown.head = head;
    if (!this.isPast) await this.#shown.reload?.();
  }

  /** Offers ways on where the view could not be shown; the error stands above. */
  #showFailed({ at, ...now }) {
    this.#shown = undefined;
    const again = button("Try again", () => this.refresh());
    const back = at === undefined ? undefined : element("a", { href: routeTo(now) }, "Back to now");
    const home = { href: routeTo({ database: "main" }) };
    const main = now.database === "main" ? undefined : element("a", home, "Go to main");
    const ways = element("div", { class: "buttons start" }, again, back, main);
    place("database").replaceChildren(element("h2", {}, now.database), ways);
  }
}

/** The marks of a view and of its tabs. As long as they are the same, the view can stay in place. */
function viewMark({ view, collection, kind }, { createdAt, origin, asOf }, collections) {
  return {
    view: JSON.stringify([view, collection, kind, createdAt, origin, asOf]),
    tabs: JSON.stringify(collections.map(({ name, kind }) => [name, kind])),
  };
}

/** Closing what is not needed any more can fail only for reasons that closed it already. */
function runAll(works) {
  for (const work of works) Promise.resolve(work()).catch(() => undefined);
}

await new Page().start();
