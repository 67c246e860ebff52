/** Checks of arguments: for users of JavaScript, whom no compiler tells that an argument breaks the declarations. */
import type { ErrorCode } from "../../types/offshoot.js";
import { dateMilliseconds, isArray, lookingThrows } from "../codec/kinds.js";
import { isWellFormed } from "../codec/text.js";
import { OffshootError } from "../errors.js";

/** A value as it appears at the end of a message. */
export function shown(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  return isArray(value) ? "an array" : "an object";
}

function wellFormedText(value: unknown, code: ErrorCode, what: string): asserts value is string {
  if (typeof value !== "string") throw new OffshootError(code, `${what} must be a string. value=${shown(value)}`);
  if (!isWellFormed(value)) throw new OffshootError(code, `${what} has a lone surrogate. value=${shown(value)}`);
}

/** The name of a store, database or collection. Which letters and lengths are allowed, the core knows. */
export function checkName(value: unknown, what: string): asserts value is string {
  wellFormedText(value, "INVALID_NAME", `the name of a ${what}`);
}

export function checkId(value: unknown): asserts value is string {
  wellFormedText(value, "INVALID_KEY", "an id");
}

export function checkField(value: unknown): asserts value is string {
  wellFormedText(value, "INVALID_KEY", "a field's name");
}

/** A list is an array; its elements are checked where they are used. */
export function checkList(value: unknown, code: ErrorCode, what: string): asserts value is readonly unknown[] {
  if (isArray(value)) return;
  throw new OffshootError(code, `${what} must be an array. value=${shown(value)}`, {}, lookingThrows(value));
}

/** A kind of value that an option may have: the test for such a value, and its name in an error's message. */
export interface Kind {
  readonly is: (value: unknown) => boolean;
  readonly words: string;
}

export const text: Kind = { is: (value) => typeof value === "string" && isWellFormed(value), words: "a string" };
export const flag: Kind = { is: (value) => typeof value === "boolean", words: "true or false" };
/** To call a generator runs nothing of it. */
const GENERATORS = ["[object GeneratorFunction]", "[object AsyncGeneratorFunction]"];
export const callable: Kind = {
  is: (value) =>
    typeof value === "function" &&
    !("cause" in lookingThrows(value)) &&
    !GENERATORS.includes(Object.prototype.toString.call(value)),
  words: "a function that is no generator",
};
export const count: Kind = {
  is: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  words: "a whole number, 0 or more",
};
export const signal: Kind = {
  is: (value) =>
    typeof value === "object" && value !== null && typeof (value as AbortSignal).addEventListener === "function",
  words: "an AbortSignal",
};
export const when: Kind = {
  is: (value) => text.is(value) || isValidDate(value),
  words: "a version or a valid Date",
};
function isValidDate(value: unknown): boolean {
  const milliseconds = typeof value === "object" && value !== null ? dateMilliseconds(value) : undefined;
  return milliseconds !== undefined && !Number.isNaN(milliseconds);
}

/** Anything: checked elsewhere. */
export const anything: Kind = { is: () => true, words: "anything" };

export function oneOf(...choices: readonly string[]): Kind {
  return {
    is: (value) => typeof value === "string" && choices.includes(value),
    words: choices.map((choice) => `"${choice}"`).join(" or "),
  };
}

/** Refuses options that don't exist (a slip of the pen would otherwise do nothing) and values of the wrong kind. */
export function checkOptions(options: unknown, known: Readonly<Record<string, Kind>>, call: string): void {
  if (options === undefined) return;
  const why = lookingThrows(options);
  if (typeof options !== "object" || options === null || isArray(options) || "cause" in why) {
    const message = `the options of ${call} must be an object. value=${shown(options)}`;
    throw new OffshootError("INVALID_OPTION", message, {}, why);
  }
  for (const [name, value] of Object.entries(options)) {
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) throw invalidOption(name, `${call} has no such option`);
    if (value === undefined) continue;
    const why = lookingThrows(value);
    if (!("cause" in why) && kind.is(value)) continue;
    const message = `option of ${call} must be ${kind.words}. option="${name}", value=${shown(value)}`;
    throw new OffshootError("INVALID_OPTION", message, { option: name }, why);
  }
}

export function invalidOption(name: string, problem: string, ...value: unknown[]): OffshootError<"INVALID_OPTION"> {
  const tail = value.length > 0 ? `, value=${shown(value[0])}` : "";
  return new OffshootError("INVALID_OPTION", `option ${problem}. option="${name}"${tail}`, { option: name });
}
