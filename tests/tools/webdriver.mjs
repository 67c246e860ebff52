// The part of the W3C WebDriver protocol that the tests need, over fetch: one session, its windows, code in their
// pages.

/** An answer of the driver that is not success. */
export class WebDriverError extends Error {}

/** Asks the driver at `url` for a browser with these capabilities. */
export async function beginSession(url, capabilities) {
  const { sessionId } = await command("POST", `${url}/session`, { capabilities: { alwaysMatch: capabilities } });
  const session = `${url}/session/${sessionId}`;
  return new Session(session, await command("GET", `${session}/window`));
}

async function command(method, url, parameters) {
  const body = parameters === undefined ? undefined : JSON.stringify(parameters);
  const response = await fetch(url, { method, body, headers: { "content-type": "application/json" } });
  const { value } = await response.json();
  if (!response.ok) throw new WebDriverError(`${value.error}: ${value.message}`);
  return value;
}

// Both run in the page. A driver carries out one command at a time, and a page may wait for what another one is yet to
// do: so work is only begun by a command, and its end is asked for, a short while at a time.
const begin = (work) => `
  const [number, args] = arguments;
  const text = (error) =>
    error instanceof Error ? error.name + ": " + error.message + "\\n" + error.stack : String(error);
  globalThis.workInHand ??= new Map();
  globalThis.workInHand.set(number, (async () => (${work})(...args))().then(
    (value) => ({ value: JSON.stringify(value) }),
    (error) => ({ error: text(error) }),
  ));`;
const askForEnd = `
  const [number, patience, answer] = arguments;
  const later = new Promise((passed) => setTimeout(() => passed({ unfinished: true }), patience));
  Promise.race([globalThis.workInHand.get(number), later]).then(answer);`;
const patience = 100;

class Session {
  #url;
  /** The window that the session began with, and keeps. */
  #first;
  /** The window that commands go to. */
  #current;
  /** Resolves when the last command that was asked for is done. */
  #last = Promise.resolve();
  #works = 0;

  constructor(url, window) {
    this.#url = url;
    this.#first = window;
    this.#current = window;
  }

  #command(method, path, parameters) {
    return command(method, `${this.#url}${path}`, parameters);
  }

  /** Carries out a command in a window, after all that were asked for before. */
  #inWindow(handle, method, path, parameters) {
    const done = this.#last.then(async () => {
      if (this.#current !== handle) await this.#command("POST", "/window", { handle });
      this.#current = handle;
      return this.#command(method, path, parameters);
    });
    this.#last = done.catch(() => undefined);
    return done;
  }

  /** Opens a tab and loads a page into it. */
  async openTab(url) {
    const { handle } = await this.#inWindow(this.#first, "POST", "/window/new", { type: "tab" });
    await this.#inWindow(handle, "POST", "/url", { url });
    return {
      evaluate: (work, ...args) => this.#evaluate(handle, work, args),
      reload: () => this.#inWindow(handle, "POST", "/refresh", {}),
      close: () => this.#inWindow(handle, "DELETE", "/window"),
    };
  }

  /** Runs a function in the page; its arguments and what it gives, or promises, are copied as JSON. */
  async #evaluate(handle, work, args) {
    const number = this.#works++;
    await this.#inWindow(handle, "POST", "/execute/sync", { script: begin(work), args: [number, args] });
    for (;;) {
      const asking = { script: askForEnd, args: [number, patience] };
      const { unfinished, error, value } = await this.#inWindow(handle, "POST", "/execute/async", asking);
      if (unfinished) continue;
      if (error !== undefined) throw new Error(error);
      return value === undefined ? undefined : JSON.parse(value);
    }
  }

  async end() {
    await this.#last;
    await this.#command("DELETE", "");
  }
}
