/** The page: shows what the address asks for, and does what people ask. */
import { askForClone, confirm, showProblem } from "./dialogs.js";
import { button, element, keepingFocus } from "./dom.js";
import { chooseView, heading, momentChooser, tabs } from "./heading.js";
import { Importer } from "./importer.js";
import { picture } from "./lineage.js";
import { readRoute, routeTo } from "./route.js";
import { Store } from "./store.js";
import { changesView } from "./views/changes.js";
import { figuresView } from "./views/figures.js";
import { importView } from "./views/import.js";
import { rowsView } from "./views/rows.js";
import { duration, time } from "./words.js";

const place = (id) => document.getElementById(id);

class Page {
  importer = new Importer();
  /** An earlier moment is shown, which can't be written. */
  isPast = false;
  #store;
  #databases = [];
  #route = readRoute(location.hash);
  #leaving = [];
  #turn = 0;
  /** What to say once the address has changed. */
  #newsOfNext = "";

  async start() {
    addEventListener("hashchange", () => {
      // Back and Forward work while a dialog is open; it belongs to what was shown before.
      for (const dialog of document.querySelectorAll("dialog")) dialog.close();
      this.say(this.#newsOfNext);
      this.#newsOfNext = "";
      this.refresh();
    });
    document.addEventListener("visibilitychange", () => {
      // Another tab may have written meanwhile.
      if (!document.hidden && !this.importer.isBusy) this.changed();
    });
    new ResizeObserver(() => this.#drawLineage()).observe(place("picture"));
    await this.#open();
  }

  /** Does what the person asked for; what goes wrong is told. */
  async attempt(work) {
    place("problem").hidden = true;
    try {
      await work();
    } catch (error) {
      showProblem(place("problem"), error);
    }
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

  /** Something was written: the view has seen to itself, but the figures in the picture are old. */
  changed() {
    return this.attempt(() => this.#readDatabases());
  }

  async destroy() {
    await Store.destroy();
    this.say("The store was deleted.");
  }

  async #open() {
    await this.attempt(async () => {
      this.#store = await Store.open();
      this.#store.closed.then((reason) => this.#showClosed(reason));
      place("mode").textContent = this.#store.isKept ? "kept in IndexedDB" : "in memory, gone after a reload";
      await this.#show();
    });
    document.documentElement.dataset.ready = "true";
  }

  /** Deleted, here or in another tab. What is opened next is a new, empty store. */
  #showClosed(reason) {
    this.#store = undefined;
    this.#databases = [];
    this.#turn++;
    const again = button("Open a new one", () => {
      history.replaceState(null, "", location.pathname);
      this.#open();
    });
    const words = element("p", {}, reason === undefined ? "It was closed." : `${reason.code}: ${reason.message}`);
    place("database").replaceChildren(element("h2", {}, "The store is closed"), words, again);
    place("picture").replaceChildren();
    again.focus();
  }

  async #readDatabases() {
    if (this.#store === undefined) return;
    this.#databases = await this.#store.databases();
    this.#drawLineage();
  }

  #drawLineage() {
    const width = Math.floor(place("picture").clientWidth);
    if (this.#databases.length === 0 || width === 0) return;
    keepingFocus(() => place("picture").replaceChildren(picture(this.#databases, this.#route, width)));
  }

  async #show() {
    if (this.#store === undefined) return;
    const turn = ++this.#turn;
    try {
      await this.#showRoute(readRoute(location.hash), () => turn !== this.#turn);
    } catch (error) {
      // What was left in the middle may fail in any way.
      if (turn === this.#turn) throw error;
    }
  }

  async #showRoute(route, isLate) {
    this.#route = route;
    runAll(this.#leaving.splice(0));
    await this.#readDatabases();
    const database = await this.#store.database(route.database).catch((error) => this.#showMissing(route, error));
    const collections = await database.collections();
    const snapshot = route.at === undefined ? undefined : await database.at(new Date(route.at));
    if (snapshot !== undefined) this.onLeave(() => snapshot.close());
    if (isLate()) return;
    const info = this.#databases.find(({ name }) => name === route.database);
    const shown = chooseView(route, collections, info.origin);
    this.#route = { ...route, view: shown.view, collection: shown.collection };
    this.isPast = snapshot !== undefined;
    const view = await this.#makeView(shown, { database, snapshot, origin: info.origin });
    if (isLate()) return;
    document.title = `${route.database} · Offshoot`;
    this.#drawLineage();
    const onclone = () => this.attempt(() => this.#clone(this.#route));
    const ondrop = () => this.attempt(() => this.#drop(info));
    const head = [heading(info, { onclone, ondrop }), momentChooser(route, snapshot)];
    keepingFocus(() => place("database").replaceChildren(...head, tabs(route, shown, collections, info.origin), view));
  }

  #showMissing({ database }, error) {
    const back = element("a", { href: routeTo({ database: "main" }) }, "Go to main");
    place("database").replaceChildren(element("h2", {}, database), back);
    throw error;
  }

  #makeView(shown, { database, snapshot, origin }) {
    const given = { database, reader: snapshot ?? database, origin };
    if (shown.view === "figures") return figuresView(this, given);
    if (shown.view === "import") return importView(this, given);
    if (shown.view === "rows") return rowsView(this, { ...given, ...shown });
    const diff = () => database.diff(snapshot === undefined ? {} : { at: snapshot.version });
    return changesView(this, { name: database.name, origin, diff });
  }

  async #clone({ database, at, view, collection }) {
    const taken = this.#databases.map(({ name }) => name);
    const create = (name) => this.#store.clone(database, name, at);
    const moment = at === undefined ? undefined : time(new Date(at));
    const made = await askForClone({ origin: database, at: moment, taken, create });
    if (made === undefined) return;
    const news = `${made.name} was cloned from ${database} in ${duration(made.took)}.`;
    this.#go({ database: made.name, view, collection }, news);
  }

  async #drop({ name, origin }) {
    const text = `What it changed itself goes. ${origin} is not touched.`;
    const isDone = await confirm(`Drop ${name}?`, text, "Drop", () => this.#store.drop(name));
    if (!isDone) return;
    this.#go({ database: origin }, `${name} was dropped.`);
  }

  #go(route, news) {
    this.#newsOfNext = news;
    location.hash = routeTo(route);
  }
}

/** Closing what is not needed any more can fail only for reasons that closed it already. */
function runAll(works) {
  for (const work of works) Promise.resolve(work()).catch(() => undefined);
}

await new Page().start();
