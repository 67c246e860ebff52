/** Making elements. Text only ever becomes text, never markup. */

const SVG = "http://www.w3.org/2000/svg";

/** `on…` properties are listeners, `true` an attribute without a value, `undefined` and `false` none. */
export function element(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== undefined));
  return made;
}

export const link = (url, text) => element("a", { href: url }, text);

export function button(text, onclick, properties = {}) {
  return element("button", { type: "button", onclick, ...properties }, text);
}

/** A form's control under its name. */
export function field(name, control, hint) {
  const note = hint === undefined ? undefined : element("small", {}, hint);
  return element("label", { class: "field" }, element("span", {}, name), control, note);
}

/**
 * Redraws without losing the person's place: the element that has the id of the one that had the focus gets it, if it
 * can take it; else `fallback` gets it.
 */
export function keepingFocus(redraw, fallback) {
  const before = document.activeElement;
  redraw();
  if (before === null || before === document.body || document.activeElement === before) return;
  document.getElementById(before.id)?.focus({ preventScroll: true });
  if (document.activeElement === document.body) fallback?.focus({ preventScroll: true });
}
