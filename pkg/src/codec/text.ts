/** Text that UTF-8 can carry: no half of a surrogate pair stands alone. */

const LONE_SURROGATE = /\p{Surrogate}/u;
const native = (String.prototype as { isWellFormed?: (this: string) => boolean }).isWellFormed;

/** Browsers before 2023 lack `isWellFormed`. */
export const isWellFormed: (text: string) => boolean =
  native === undefined ? (text) => !LONE_SURROGATE.test(text) : (text) => native.call(text);
