/**
 * A cursor is text that says where a page ended. Callers keep it and give it back. It names its collection, and, where
 * the query had a limit, that limit and how many rows of it the pages so far gave.
 */
import { isWellFormed } from "../codec/text.js";
import { count, invalidOption } from "./check.js";

export interface Cursor {
  readonly collection: string;
  /** The last row's id. */
  readonly after: string;
  /** The query's own limit, and how many rows were given of it. */
  readonly limited?: { readonly limit: number; readonly taken: number };
}

export function encodeCursor({ collection, after, limited }: Cursor): string {
  return JSON.stringify([collection, after, ...(limited === undefined ? [] : [limited.limit, limited.taken])]);
}

export function decodeCursor(cursor: unknown): Cursor {
  const [collection, after, limit, taken, ...more] = parts(cursor);
  const isText = typeof collection === "string" && typeof after === "string" && isWellFormed(after);
  const isLimited = count.is(limit) && count.is(taken);
  if (!isText || more.length > 0 || (limit !== undefined && !isLimited)) {
    throw invalidOption("cursor", "must be the `next` of a page", cursor);
  }
  if (!isLimited) return { collection, after };
  return { collection, after, limited: { limit: limit as number, taken: taken as number } };
}

function parts(cursor: unknown): unknown[] {
  try {
    const read: unknown = JSON.parse(cursor as string);
    return Array.isArray(read) ? read : [];
  } catch {
    return [];
  }
}
