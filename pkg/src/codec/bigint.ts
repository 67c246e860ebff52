/** Big integers as bytes: two's complement, big-endian, no byte more than needed; 0n is one zero byte. */

const HEX = 16;

export function bigintBytes(value: bigint): Uint8Array {
  const negative = value < 0n;
  // A negative number's bytes are those of its complement, inverted: both have the same length.
  const digits = (negative ? ~value : value).toString(HEX);
  const bits = (digits.length - 1) * 4 + 32 - Math.clz32(Number.parseInt(digits[0]!, HEX));
  // One bit more than the number's own, for the sign.
  const length = Math.floor(bits / 8) + 1;
  const padded = digits.padStart(length * 2, "0");
  const bytes = new Uint8Array(length);
  const mask = negative ? 0xff : 0;
  for (let index = 0; index < length; index++) {
    bytes[index] = Number.parseInt(padded.slice(index * 2, index * 2 + 2), HEX) ^ mask;
  }
  return bytes;
}

export function bytesBigint(bytes: Uint8Array): bigint {
  const negative = bytes[0]! >= 0x80;
  const mask = negative ? 0xff : 0;
  let digits = "0x";
  for (const byte of bytes) digits += (byte ^ mask).toString(HEX).padStart(2, "0");
  const value = BigInt(digits);
  return negative ? ~value : value;
}
