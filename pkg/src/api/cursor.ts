/** Where a page ended, as text that callers keep and give back: the rows before it, and the last row's id. */
import { isWellFormed } from "../codec/text.js";
import { invalidOption } from "./check.js";

const CURSOR = /^(\d{1,15}):/;

export function encodeCursor(id: string, taken: number): string {
  return `${taken}:${id}`;
}

export function decodeCursor(cursor: unknown): { after: string; taken: number } {
  const head = typeof cursor === "string" && isWellFormed(cursor) ? CURSOR.exec(cursor) : null;
  if (head === null) throw invalidOption("cursor", "must be the `next` of a page", cursor);
  return { after: (cursor as string).slice(head[0].length), taken: Number(head[1]) };
}
