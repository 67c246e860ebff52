/** Tells apart the objects that are values, also those that another realm (a frame, a vm context) made. */

/** Asks the internal slot, which a class instance can't fake and another realm's Date has too. */
const dateValue = Date.prototype.valueOf;
const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get as (this: unknown) => string | undefined;

/** The milliseconds of a Date, NaN for an invalid one; undefined: it is no Date. */
export function dateMilliseconds(value: object): number | undefined {
  try {
    if (!(value instanceof Date) && Object.prototype.toString.call(value) !== "[object Date]") return undefined;
    return dateValue.call(value as Date);
  } catch {
    return undefined;
  }
}

/** A Uint8Array or a subclass of it, such as Node's Buffer. */
export function isBytes(value: object): value is Uint8Array {
  return typedArrayName.call(value) === "Uint8Array";
}

/** As `Array.isArray`, which throws at a revoked proxy. */
export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** "unreadable": even to look at the object throws, as at a revoked proxy. Why, `lookingThrows` tells. */
export type ObjectKind = "array" | "plain" | "bytes" | "date" | "other" | "unreadable";

export function kindOf(value: object): ObjectKind {
  try {
    return look(value);
  } catch {
    return "unreadable";
  }
}

function look(value: object): ObjectKind {
  if (Array.isArray(value)) return "array";
  if (isPlainPrototype(Object.getPrototypeOf(value) as object | null)) return "plain";
  if (isBytes(value)) return "bytes";
  return dateMilliseconds(value) === undefined ? "other" : "date";
}

/** The error that `value` throws when it is looked at, as the cause of an error about it; nothing if it throws none. */
export function lookingThrows(value: unknown): { cause?: unknown } {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return {};
  try {
    look(value);
    return {};
  } catch (cause) {
    return { cause };
  }
}

/** True if the bytes were transferred to another worker. They look empty: storing them would lose them in silence. */
export function isDetached(bytes: Uint8Array): boolean {
  try {
    // `detached` is younger than the browsers we know; a new view on such a buffer throws in all of them.
    new Uint8Array(bytes.buffer);
    return false;
  } catch {
    return true;
  }
}

/** True for the prototype of a plain object: null, or the Object.prototype of any realm. */
export function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === null || prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** True for an object that can be a document or a map. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || kindOf(value) !== "plain") return false;
  return dateMilliseconds(value) === undefined && !isBytes(value);
}

/** Names the kind of a refused value, in words for a message. */
export function describeKind(value: unknown): string {
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  const kind = kindOf(value);
  if (kind === "unreadable") return "an object that can't be looked at";
  if (kind === "array") return "an array";
  const maker: unknown = (Object.getPrototypeOf(value) as { constructor?: unknown } | null)?.constructor;
  const name = typeof maker === "function" ? maker.name : "";
  return name === "" || name === "Object" ? "an object" : `an instance of ${name}`;
}
