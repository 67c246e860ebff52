// How what the core throws becomes an OffshootError, and how signals end calls.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { build } from "esbuild";

const entry = fileURLToPath(new URL("../../pkg/src/errors.ts", import.meta.url));
const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false });
const source = Buffer.from(outputFiles[0].contents).toString("base64");
const { OffshootError, fromCore, unlessAborted } = await import(`data:text/javascript;base64,${source}`);
const copy = await import(`data:text/javascript;base64,${source}#copy`);

const noPanic = () => undefined;

test("an error of the core keeps its code, message, details and whether it can be retried", () => {
  const thrown = { code: "CONFLICT", message: "key was written", details: { lsn: 43 }, retryable: true };
  const error = fromCore(thrown, noPanic);
  assert.ok(error instanceof OffshootError);
  const details = { lsn: 43, outcome: "none" };
  assert.deepEqual(error.toJSON(), { ...thrown, name: "OffshootError", details });
  assert.match(error.stack, /^OffshootError: key was written/);
  assert.deepEqual(Object.keys(error).sort(), ["code", "details", "retryable"]);
});

test("a call that may have been done is never retryable, and a panic leaves open what was done", () => {
  const thrown = { code: "TIMEOUT", message: "it took too long", details: { outcome: "unknown" }, retryable: true };
  const error = fromCore(thrown, noPanic);
  assert.deepEqual([error.retryable, error.details.outcome], [false, "unknown"]);
  assert.equal(fromCore(new WebAssembly.RuntimeError("unreachable"), noPanic).details.outcome, "unknown");
  assert.equal(new OffshootError("CLOSED", "closed").details.outcome, "none");
});

test("an error survives postMessage and JSON by toJSON and from", () => {
  const details = { path: "a[0]", outcome: "unknown" };
  const error = new OffshootError("INVALID_VALUE", "no value", details, { cause: new Error("why") });
  const busy = new OffshootError("CONFLICT", "lost", { lsn: 5 }, { retryable: true });
  for (const original of [error, busy]) {
    for (const sent of [structuredClone(original.toJSON()), JSON.parse(JSON.stringify(original))]) {
      const rebuilt = OffshootError.from(sent);
      assert.ok(rebuilt instanceof OffshootError && OffshootError.is(rebuilt, original.code));
      assert.deepEqual(rebuilt.toJSON(), original.toJSON());
    }
  }
  assert.equal(OffshootError.from(error), error);
  assert.deepEqual(OffshootError.from(new copy.OffshootError("TOO_LARGE", "too large")).toJSON().code, "TOO_LARGE");
  const bare = OffshootError.from({ name: "OffshootError", code: "TIMEOUT", message: "late", retryable: true });
  assert.deepEqual([bare.retryable, bare.details], [false, { outcome: "unknown" }]);
  const strangers = [null, undefined, "CLOSED", 5, {}, new Error("x"), { code: "CLOSED", message: "x" }];
  for (const other of [...strangers, structuredClone(error)])
    assert.equal(OffshootError.from(other), undefined);
});

test("an OffshootError that passes through the core is the same one", () => {
  const error = new OffshootError("CLOSED", "closed");
  assert.equal(fromCore(error, noPanic), error);
});

test("a panic is INTERNAL, with what the panic said and the trap as its cause", () => {
  const trap = new WebAssembly.RuntimeError("unreachable");
  const error = fromCore(trap, () => "BUG: a run without blocks");
  assert.equal(error.code, "INTERNAL");
  assert.match(error.message, /BUG: a run without blocks/);
  assert.equal(error.cause, trap);
  for (const thrown of [
    new TypeError("null pointer passed to rust"),
    "text",
    undefined,
    null,
    5,
    { code: 5, message: "x" },
  ]) {
    assert.equal(fromCore(thrown, noPanic).code, "INTERNAL");
  }
});

test("another copy's error is recognised, and one from another realm, but nothing that only looks like one", () => {
  const error = new copy.OffshootError("TOO_LARGE", "too large");
  assert.ok(!(error instanceof OffshootError));
  assert.ok(OffshootError.is(error) && OffshootError.is(error, "TOO_LARGE") && !OffshootError.is(error, "CLOSED"));
  const context = vm.createContext({});
  const foreign = vm.runInContext(
    'Object.assign(Object.create({ [Symbol.for("offshoot.error")]: true }), { code: "CLOSED" })',
    context,
  );
  assert.ok(OffshootError.is(foreign, "CLOSED"));
  for (const other of [null, undefined, "CLOSED", new Error("x"), { code: "CLOSED", message: "x" }])
    assert.ok(!OffshootError.is(other));
});

test("an aborted signal rejects with its reason as cause, before the work has begun or while it goes on", async () => {
  const early = AbortSignal.abort("why");
  let begun = false;
  await assert.rejects(
    unlessAborted(early, async () => (begun = true)),
    { code: "ABORTED", cause: "why", retryable: false },
  );
  assert.equal(begun, false);
  const during = new AbortController();
  let reject;
  const work = unlessAborted(during.signal, () => new Promise((_, fail) => (reject = fail)));
  during.abort("later");
  await assert.rejects(work, { code: "ABORTED", cause: "later" });
  // The work's own end is nobody's any more, and must not surface as an unhandled rejection.
  reject(new Error("too late"));
  await new Promise((resolve) => setTimeout(resolve, 5));
});

test("a signal that outlives its calls keeps no listener of theirs", async () => {
  let listeners = 0;
  const signal = new AbortController().signal;
  const count = (method, change) => {
    const original = signal[method].bind(signal);
    signal[method] = (...given) => ((listeners += change), original(...given));
  };
  count("addEventListener", 1);
  count("removeEventListener", -1);
  assert.equal(await unlessAborted(signal, async () => 5), 5);
  await assert.rejects(
    unlessAborted(signal, async () => Promise.reject(new Error("mine"))),
    { message: "mine" },
  );
  assert.equal(listeners, 0);
});
