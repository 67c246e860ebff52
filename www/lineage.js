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
  const names = new Set(databases.map(({ name }) => name));
  const clonesOf = grouped(databases, originOf);
  function originOf({ name, origin }) {
    return origin !== undefined && origin !== name && names.has(origin) ? origin : undefined;
  }
  const lanes = [];
  const roots = clonesOf.get(undefined) ?? [];
  const main = roots.filter(({ name }) => name === "main");
  const alone = roots.filter(({ name }) => name !== "main");
  const waiting = [...main, ...alone].reverse().map((database) => ({ database }));
  while (waiting.length > 0) {
    const { database, origin } = waiting.pop();
    // A clone may read a point from before its origin was made; its line still begins on its origin's.
    const column = origin === undefined ? 0 : Math.max(points.indexOf(database.asOf), origin.column) + 1;
    const lane = { database, origin, column, y: LANE / 2 + lanes.length * LANE };
    lanes.push(lane);
    const clones = [...(clonesOf.get(database.name) ?? [])].sort((a, b) => (a.asOf < b.asOf ? -1 : 1));
    for (const clone of clones) waiting.push({ database: clone, origin: lane });
  }
  const last = Math.max(...lanes.map(({ column }) => column));
  // Names stand right of the lines, and need room on narrow screens too.
  const right = EDGE + Math.max(60, Math.min(90 + last * 56, width * 0.36));
  const step = (right - EDGE - BEND) / (last + 1);
  for (const lane of lanes) Object.assign(lane, { left: EDGE + lane.column * step, right });
  return { lanes, height: lanes.length * LANE, bend: Math.min(BEND, step) };
}

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}

/** @returns the drawing; each database in it is a link, which shows of it what is shown of the current one */
export function picture(databases, route, width) {
  const current = route.database;
  const { lanes, height, bend } = arrange(databases, width);
  const drawing = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "lineage" });
  // Lines first, the current one last of them, so that every point lies upon them.
  const lines = [...lanes].sort((a, b) => isOf(a, current) - isOf(b, current));
  for (const lane of lines) {
    drawing.append(svg("path", { d: trace(lane, bend), class: isOf(lane, current) ? "lane current" : "lane" }));
  }
  const radius = Math.max(2.5, Math.min(4, bend / 2));
  for (const { origin, left } of lanes) {
    if (origin !== undefined) drawing.append(svg("circle", { cx: left, cy: origin.y, r: radius, class: "point" }));
  }
  for (const lane of lanes) drawing.append(label(lane, route, width));
  return drawing;
}

const isOf = ({ database }, name) => database.name === name;

function trace({ left, right, y, origin }, bend) {
  if (origin === undefined) return `M${left} ${y}H${right}`;
  return `M${left} ${origin.y}V${y - BEND}q0 ${BEND} ${bend} ${BEND}H${right}`;
}

function label({ database, right, y }, route, width) {
  const { name, origin, asOf, status } = database;
  const isCurrent = name === route.database;
  const alone = status?.state === "materialized" ? "materialized" : "root";
  const from = origin === undefined ? alone : `clone of ${origin} ${point(asOf)}`;
  const bytes = size(database.ownBytes);
  const target = svg("rect", { x: 2, y: y - LANE / 2 + 2, width: width - 4, height: LANE - 4, rx: 8, class: "target" });
  const room = width - right - 20;
  const notes = [`${from} · ${bytes} of its own`, `${from} · ${bytes}`, `of ${origin} · ${bytes}`];
  return svg(
    "a",
    {
      href: routeTo({ database: name, view: route.view, collection: route.collection }),
      id: `database-${name}`,
      class: isCurrent ? "database current" : "database",
      "aria-current": isCurrent ? "true" : undefined,
      "aria-label": `${name}, ${from}, ${bytes} of its own`,
    },
    svg("title", {}, `${name}: ${from}, ${bytes} of its own`),
    target,
    svg("circle", { cx: right, cy: y, r: 6.5, class: "head" }),
    svg("text", { x: right + 16, y: y - 2, class: "name" }, fitting([name], room, isCurrent ? "bold 15px" : "15px")),
    svg("text", { x: right + 16, y: y + 14, class: "note" }, fitting(notes, room, "12px")),
  );
}

let ruler;

/** The first text that fits, else what fits of the last: SVG text does not end with dots by itself. */
function fitting(texts, width, font) {
  ruler ??= document.createElement("canvas").getContext("2d");
  ruler.font = `${font} ${getComputedStyle(document.body).fontFamily}`;
  const fits = (text) => ruler.measureText(text).width <= width;
  const whole = texts.find(fits);
  if (whole !== undefined) return whole;
  let length = texts.at(-1).length - 1;
  while (length > 1 && !fits(shortened(texts.at(-1), length))) length--;
  return shortened(texts.at(-1), length);
}
