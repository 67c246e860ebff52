/**
 * The page in other tabs. The database takes in by itself what other tabs commit; this tells their pages when it is
 * time to look: rows were written, a database was cloned or dropped.
 */
export class OtherTabs {
  #channel;

  constructor(name) {
    this.#channel = new BroadcastChannel(name);
  }

  /** `version`: the one that the other tabs must have read to see the change. */
  tell(version) {
    this.#channel.postMessage(version);
  }

  listen(listener) {
    this.#channel.addEventListener("message", ({ data }) => listener(data));
  }
}

/** Runs `work` one time after the other; all who ask while it runs share the one run that begins after it. */
export function coalesced(work) {
  let last = Promise.resolve();
  let waiting;
  return () => {
    waiting ??= last.then(() => {
      waiting = undefined;
      return work();
    });
    last = waiting.catch(() => undefined);
    return waiting;
  };
}
