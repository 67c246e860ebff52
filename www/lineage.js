/** The picture of a store: one line for each database, each clone's line leaving its origin's at the point it reads. */
import { svg } from "./dom.js";
import { routeTo } from "./route.js";
import { point, shortened, size } from "./words.js";

const LANE = 46;
const EDGE = 12;
const BEND = 14;

/**
 * Where everything lies. Points that clones read stand in the order of history, left to right. Below each origin stand
 * its clones, the latest first, so that no line crosses another.
 */
export function arrange(databases, width) {
  const points = [...new Set(databases.flatMap(({ asOf }) => asOf ?? []))].sort();
  // Names stand right of the lines, and need room on narrow screens too.
  const right = EDGE + Math.max(60, Math.min(90 + points.length * 56, width * 0.36));
  const across = (asOf) => EDGE + ((points.indexOf(asOf) + 1) * (right - EDGE - BEND)) / (points.length + 1);
  const names = new Set(databases.map(({ name }) => name));
  const clonesOf = grouped(databases, originOf);
  function originOf({ name, origin }) {
    return origin !== undefined && origin !== name && names.has(origin) ? origin : undefined;
  }
  const lanes = [];
  const waiting = [...(clonesOf.get(undefined) ?? [])].reverse().map((database) => ({ database }));
  while (waiting.length > 0) {
    const { database, origin } = waiting.pop();
    const lane = { database, origin, y: LANE / 2 + lanes.length * LANE, right };
    lane.left = origin === undefined ? EDGE : Math.max(across(database.asOf), origin.left + BEND);
    lanes.push(lane);
    const clones = [...(clonesOf.get(database.name) ?? [])].sort((a, b) => (a.asOf < b.asOf ? -1 : 1));
    for (const clone of clones) waiting.push({ database: clone, origin: lane });
  }
  return { lanes, height: lanes.length * LANE };
}

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

/** @returns the drawing; each database in it is a link, which shows of it what is shown of the current one */
export function picture(databases, route, width) {
  const current = route.database;
  const { lanes, height } = arrange(databases, width);
  const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "lineage" });
  // Lines first, so that every point lies upon them.
  for (const lane of lanes) drawing.append(svg("path", { d: trace(lane), class: laneClass(lane, current) }));
  for (const { origin, left } of lanes) {
    if (origin !== undefined) drawing.append(svg("circle", { cx: left, cy: origin.y, r: 4, class: "point" }));
  }
  for (const lane of lanes) drawing.append(label(lane, route, width));
  return drawing;
}

function laneClass({ database }, current) {
  return database.name === current ? "lane current" : "lane";
}

function trace({ left, right, y, origin }) {
  if (origin === undefined) return `M${left} ${y}H${right}`;
  return `M${left} ${origin.y}V${y - BEND}q0 ${BEND} ${Math.min(BEND, right - left)} ${BEND}H${right}`;
}

function label({ database, right, y }, route, width) {
  const isCurrent = database.name === route.database;
  const from = database.origin === undefined ? "root" : `of ${database.origin} ${point(database.asOf)}`;
  const own = `${size(database.ownBytes)} of its own`;
  const target = svg("rect", { x: 0, y: y - LANE / 2 + 1, width, height: LANE - 2, rx: 8, class: "target" });
  return svg(
    "a",
    {
      href: routeTo({ database: database.name, view: route.view, collection: route.collection }),
      id: `database-${database.name}`,
      class: isCurrent ? "database current" : "database",
      "aria-current": isCurrent ? "true" : undefined,
      "aria-label": `${database.name}, ${from === "root" ? from : `clone ${from}`}, ${own}`,
    },
    svg("title", {}, `${database.name}: ${from}, ${own}`),
    target,
    svg("circle", { cx: right, cy: y, r: 6.5, class: "head" }),
    svg("text", { x: right + 16, y: y - 2, class: "name" }, fitting(database.name, width - right - 16, 8.6)),
    svg(
      "text",
      { x: right + 16, y: y + 14, class: "note" },
      fitting(`${from} · ${size(database.ownBytes)}`, width - right - 16, 6.6),
    ),
  );
}

/** SVG text does not end with dots by itself. */
function fitting(text, width, characterWidth) {
  return shortened(text, Math.max(8, Math.floor(width / characterWidth)));
}
