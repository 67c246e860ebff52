/** KV keys as the core takes them: a string, a number, bytes, or a list of those. */
import type { Key, KeyPart } from "../../types/offshoot.js";
import type { Writer } from "../codec/index.js";
import { describeKind, isArray, isBytes, lookingThrows } from "../codec/kinds.js";
import { isWellFormed } from "../codec/text.js";
import { OffshootError } from "../errors.js";
import { shown } from "./check.js";

export function writeKey(writer: Writer, key: Key): void {
  if (isArray(key)) {
    writer.arrayHeader(key.length);
    for (let index = 0; index < key.length; index++) writePart(writer, key[index] as KeyPart);
  } else {
    writePart(writer, key as KeyPart);
  }
}

function writePart(writer: Writer, part: KeyPart): void {
  if (typeof part === "string") {
    if (!isWellFormed(part)) throw invalid(`a key has a lone surrogate. value=${shown(part)}`);
    writer.string(part);
  } else if (typeof part === "number") {
    writer.number(part);
  } else if (typeof part === "object" && part !== null && isBytes(part)) {
    writer.binary(part);
  } else {
    const message = `a key is a string, a number, bytes or an array of those, not ${describeKind(part)}`;
    throw invalid(message, lookingThrows(part));
  }
}

export function writeKeys(writer: Writer, keys: readonly Key[]): void {
  writer.arrayHeader(keys.length);
  for (const key of keys) writeKey(writer, key);
}

function invalid(message: string, options?: { cause?: unknown }): OffshootError<"INVALID_KEY"> {
  return new OffshootError("INVALID_KEY", message, {}, options);
}
