/** Tells apart the objects that are values, also those that another realm (a frame, a vm context) made. */

/** Asks the internal slot, which a class instance can't fake and another realm's Date has too. */
const dateValue = Date.prototype.valueOf;
const typedArrayName = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)!.get as (this: unknown) => string | undefined;

/** The milliseconds of a Date, NaN for an invalid one; undefined: it is no Date. */
export function dateMilliseconds(value: object): number | undefined {
  if (!(value instanceof Date) && Object.prototype.toString.call(value) !== "[object Date]") return undefined;
  try {
    return dateValue.call(value as Date);
  } catch {
    return undefined;
  }
}

/** A Uint8Array or a subclass of it, such as Node's Buffer. */
export function isBytes(value: object): value is Uint8Array {
  return value instanceof Uint8Array || typedArrayName.call(value) === "Uint8Array";
}

/** Whether bytes are gone to another worker. They look empty: storing that would lose them in silence. */
export function isDetached(bytes: Uint8Array): boolean {
  try {
    // `detached` is younger than the browsers we know; a new view on such a buffer throws in all of them.
    new Uint8Array(bytes.buffer);
    return false;
  } catch {
    return true;
  }
}

/** Whether an object's prototype makes it a plain one: none, or the Object.prototype of any realm. */
export function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === null || prototype === Object.prototype) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** Whether a value is an object that can be a document or a map. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (!isPlainPrototype(Object.getPrototypeOf(value) as object | null)) return false;
  return dateMilliseconds(value) === undefined && !isBytes(value);
}

/** What a refused value is, in words for a message. */
export function describeKind(value: unknown): string {
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  if (Array.isArray(value)) return "an array";
  const maker: unknown = (Object.getPrototypeOf(value) as { constructor?: unknown } | null)?.constructor;
  const name = typeof maker === "function" ? maker.name : "";
  return name === "" || name === "Object" ? "an object" : `an instance of ${name}`;
}
