// Assertions that run in Node and in a page alike. Equality is exact: kinds, -0, NaN, own fields, prototypes, bytes.

export class AssertionError extends Error {}

export function ok(value, message = "expected something true") {
  if (!value) throw new AssertionError(message);
}

export function equal(actual, expected, message = "") {
  const difference = differ(actual, expected, "");
  if (difference !== undefined) throw new AssertionError(`${message}${message === "" ? "" : ": "}${difference}`);
}

/** Resolves to the error with which `work` rejects; it must be the package's, with that code. */
export async function rejects(api, work, code) {
  let result;
  try {
    result = await work;
  } catch (error) {
    if (!api.OffshootError.is(error)) throw error;
    if (error.code !== code) throw new AssertionError(`expected ${code}, got ${error.code}: ${error.message}`);
    ok(error instanceof Error && error.message.length > 10, `an error must say what happened: ${error.message}`);
    const { outcome } = error.details;
    ok(["none", "unknown"].includes(outcome), "it tells what became of the work");
    const isSafe = outcome === "none" || !error.retryable;
    ok(typeof error.retryable === "boolean" && isSafe, "what may have been done is not done again");
    return error;
  }
  throw new AssertionError(`expected ${code}, got the result ${show(result)}`);
}

/** The same for a call that returns no promise. */
export function throws(api, call, code) {
  return rejects(api, (async () => call())(), code);
}

/** For calls that return promises: also a wrong argument must not throw at once. */
export async function promises(api, call, code) {
  let promise;
  try {
    promise = call();
  } catch (error) {
    throw new AssertionError(`the call threw at once: ${error.message}`);
  }
  ok(promise instanceof Promise, "the call must return a promise");
  return rejects(api, promise, code);
}

function show(value) {
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (value instanceof Date || value instanceof Uint8Array) return `${value.constructor.name} ${String(value)}`;
  if (typeof value === "object" && value !== null) {
    return JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}n` : part))?.slice(0, 500);
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function differ(actual, expected, path) {
  const told = `at ${path === "" ? "the top" : path}: got ${show(actual)}, expected ${show(expected)}`;
  if (typeof expected !== "object" || expected === null) return Object.is(actual, expected) ? undefined : told;
  if (typeof actual !== "object" || actual === null) return told;
  if (Object.getPrototypeOf(actual) !== Object.getPrototypeOf(expected)) return told;
  if (expected instanceof Date) return actual.getTime() === expected.getTime() ? undefined : told;
  const names = Object.keys(expected);
  if (names.length !== Object.keys(actual).length) return told;
  for (const name of names) {
    if (!Object.hasOwn(actual, name)) return told;
    const difference = differ(actual[name], expected[name], `${path}/${name}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}
