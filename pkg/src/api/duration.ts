/** Lengths of time as people write them: `500`, `"90s"`, `"1.5h"`. */
import type { Kind } from "./check.js";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const WRITTEN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** Milliseconds; undefined: that is no length of time. */
export function milliseconds(duration: unknown): number | undefined {
  if (typeof duration === "number") return duration >= 0 ? duration : undefined;
  const parts = typeof duration === "string" ? WRITTEN.exec(duration) : null;
  return parts === null ? undefined : Number(parts[1]) * UNITS[parts[2]!]!;
}

export const duration: Kind = {
  is: (value) => milliseconds(value) !== undefined,
  words: 'milliseconds, or a number with ms, s, m, h or d such as "1h"',
};
