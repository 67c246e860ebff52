/** Reads UTF-8. Bytes that are no UTF-8 throw a RangeError, which the reader turns into an error that says where. */

/** Up to here letters are made one by one; beyond it a call into TextDecoder costs less. */
const SHORT_TEXT = 40;
// A mark of byte order at the beginning of a string belongs to the string.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One list per length, so that nothing is allocated for the arguments of fromCharCode. */
const lists: number[][] = Array.from({ length: SHORT_TEXT + 1 }, (_, length) => new Array<number>(length).fill(0));

export function textAt(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length > SHORT_TEXT) return decode(bytes, start, end);
  const letters = lists[length]!;
  for (let index = 0; index < length; index++) {
    const byte = bytes[start + index]!;
    if (byte > 0x7f) return shortText(bytes, start, end);
    letters[index] = byte;
  }
  return String.fromCharCode.apply(null, letters);
}

function decode(bytes: Uint8Array, start: number, end: number): string {
  try {
    return decoder.decode(bytes.subarray(start, end));
  } catch {
    throw new RangeError("a string is no UTF-8");
  }
}

/** Text with letters beyond ASCII. Refuses what is no shortest form, surrogates, and letters beyond the last one. */
function shortText(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  let position = start;
  while (position < end) {
    const first = bytes[position++]!;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      continue;
    }
    const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    let point = first & (0x3f >> more);
    if (first < 0xc2 || first > 0xf4 || position + more > end) throw new RangeError("a string is no UTF-8");
    for (let count = 0; count < more; count++) {
      const byte = bytes[position++]!;
      if ((byte & 0xc0) !== 0x80) throw new RangeError("a string is no UTF-8");
      point = (point << 6) | (byte & 0x3f);
    }
    const least = more === 3 ? 0x10000 : more === 2 ? 0x800 : 0x80;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      throw new RangeError("a string is no UTF-8");
    }
    text += String.fromCodePoint(point);
  }
  return text;
}
