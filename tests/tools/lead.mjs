// Leads tabs without a driver's help: each asks the server over fetch what to run, and sends back what came of it.
import { text } from "node:stream/consumers";

/** Tabs by the name in their address (`?led=NAME`), and the routes under which they ask. */
export class Lead {
  /** The routes to be given to `serve`. */
  routes = { "/lead/": (request, response) => this.#answer(request, response) };
  /** For each tab: the numbers of the modules that it is to run, its waiting request, and who waits for it to load. */
  #tabs = new Map();
  /** For each number: the module to run, and the functions that settle its promise. */
  #works = new Map();
  #numbers = 0;

  #tab(name) {
    if (!this.#tabs.has(name)) this.#tabs.set(name, { numbers: [], ask: undefined, loaded: [] });
    return this.#tabs.get(name);
  }

  /** Resolves when the tab's page has loaded the next time. */
  loaded(name) {
    return new Promise((done) => this.#tab(name).loaded.push(done));
  }

  /** Runs a function in the tab; its arguments and what it gives, or promises, are copied as JSON. */
  evaluate(name, work, ...args) {
    const number = this.#numbers++;
    const module = `export default () => (${work})(...${JSON.stringify(args)});\n`;
    return new Promise((done, failed) => {
      this.#works.set(number, { module, done, failed });
      this.#tab(name).numbers.push(number);
      this.#hand(this.#tab(name));
    });
  }

  /** Gives a tab that asks what it is to run next, as soon as there is something. */
  #hand(tab) {
    if (tab.ask === undefined || tab.numbers.length === 0) return;
    tab.ask.end(JSON.stringify({ number: tab.numbers.shift() }));
    tab.ask = undefined;
  }

  /** Lets the tabs go: they ask no more. */
  dismiss() {
    for (const { ask } of this.#tabs.values()) ask?.end(JSON.stringify({ end: true }));
    this.#tabs.clear();
  }

  async #answer(request, response) {
    const [what, which] = new URL(request.url, "http://localhost").pathname.split("/").slice(2);
    const type = what === "run" ? "text/javascript" : "application/json";
    response.writeHead(200, { "content-type": type, "cache-control": "no-store" });
    if (what === "run") return response.end(this.#works.get(Number.parseInt(which)).module);
    if (what === "done") {
      const { done, failed } = this.#works.get(Number(which));
      this.#works.delete(Number(which));
      const { value, error } = JSON.parse(await text(request));
      if (error === undefined) done(value);
      else failed(new Error(error));
      return response.end();
    }
    const tab = this.#tab(which);
    if (what === "loaded") for (const done of tab.loaded.splice(0)) done();
    tab.ask = response;
    this.#hand(tab);
  }
}
