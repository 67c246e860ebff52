/** Figures, times and names as a person reads them. */

const whole = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium" });

export const number = (value) => whole.format(value);
export const time = (date) => clock.format(date);

/** "1 row", "2 rows" */
export const counted = (count, noun, nouns = `${noun}s`) => `${number(count)} ${count === 1 ? noun : nouns}`;

/** "a", "a and b", "a, b and c" */
export const listed = (names) => [names.slice(0, -1).join(", "), ...names.slice(-1)].filter(Boolean).join(" and ");

export function size(bytes) {
  let value = bytes;
  for (const unit of ["bytes", "KB", "MB"]) {
    if (value < 1000) return `${unit === "bytes" || value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} GB`;
}

export function duration(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** A version is opaque; without its leading zeros it is still the same name, and fits beside a line. */
export const point = (version) => `@${version.replace(/^0+(?=.)/, "")}`;

export function shortened(text, length) {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

/** Characters that are shown of the common beginning of two long texts. */
const LEAD = 40;

/** Where to begin, so that of two texts of which one is longer than `length` the difference is seen. */
export function differenceIn(was, is, length) {
  if (was === undefined || is === undefined || Math.max(was.length, is.length) <= length) return 0;
  let same = 0;
  while (same < was.length && was[same] === is[same]) same++;
  return Math.max(0, same - LEAD);
}

/** The code and the message of an error. Errors that the page itself makes have no code. */
export function problem(error) {
  const name = error?.name === "Error" ? "" : (error?.name ?? "");
  return { code: typeof error?.code === "string" ? error.code : name, message: error?.message ?? String(error) };
}
