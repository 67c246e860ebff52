// The median of many samples, and numbers as text.

export function median(samples) {
  if (samples.length === 0) throw new Error("there are no samples");
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Three digits that say something, never fewer than the whole part. */
export function shown(number, unit = "") {
  const digits = number === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(number))));
  const text = number.toLocaleString("en-US", { maximumFractionDigits: Math.min(digits, 3) });
  return unit === "" ? text : `${text} ${unit}`;
}

/** The order of a round, so that each name comes first, and before and after each other one, about equally often. */
export function order(names, round) {
  const all = orders(names);
  // A step that has no factor in common with the number of orders goes through all of them.
  return all[(round * 7) % all.length];
}

function orders(names) {
  if (names.length < 2) return [names];
  return names.flatMap((first) => orders(names.filter((name) => name !== first)).map((rest) => [first, ...rest]));
}
