// A transaction that a test leads step by step, across tabs: it stays open until it is told how to end.

/** Begins one on `db`; gives its `tx`, how to end it, and what becomes of it. It is never run a second time. */
export function begin(db) {
  return new Promise((begun) => {
    const body = (tx) =>
      new Promise((commit, abort) => {
        begun({ tx, commit, abort: () => abort(new Error("as the test wished")), done });
      });
    const done = db.transaction(body, { retries: 0 });
    // The test that ends the transaction awaits `done`. Nobody does before, and a rejection must not count as uncaught.
    done.catch(() => undefined);
  });
}
