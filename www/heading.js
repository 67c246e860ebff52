/** What stands above a view: the database's name, its collections and views, and the moment that is shown. */
import { button, element } from "./dom.js";
import { routeTo } from "./route.js";
import { point, time } from "./words.js";

/** What to show where the address leaves it open, or asks for what is not there. */
export function chooseView(route, collections, origin) {
  if (route.view === "figures" || route.view === "import") return { view: route.view };
  if (route.view === "changes" && origin !== undefined) return { view: "changes" };
  const wanted = collections.find(({ name }) => name === route.collection) ?? collections[0];
  if (wanted === undefined) return { view: "import" };
  return { view: "rows", collection: wanted.name, kind: wanted.kind };
}

export function heading({ name, origin, asOf, createdAt }, { onclone, ondrop }) {
  const made = `made ${time(createdAt)}`;
  const about = origin === undefined ? `The root, ${made}` : `Clone of ${origin} as of ${point(asOf)}, ${made}`;
  const clone = button("Clone", onclone, { class: "primary", id: "clone" });
  const drop = origin === undefined ? undefined : button("Drop", ondrop, { class: "danger", id: "drop" });
  const title = element("div", {}, element("h2", {}, name), element("p", { class: "about" }, about));
  return element("div", { class: "head" }, title, element("div", { class: "buttons" }, drop, clone));
}

export function tabs(route, shown, collections, origin) {
  const { database, at } = route;
  const tab = (text, to) => {
    const isShown = to.view === shown.view && to.collection === shown.collection;
    const id = `tab-${to.view}${to.collection === undefined ? "" : `-${to.collection}`}`;
    const href = routeTo({ database, at, ...to });
    return element("a", { href, id, "aria-current": isShown ? "page" : undefined }, text);
  };
  const rows = collections.map(({ name, kind }) => {
    const mark = kind === "kv" ? element("small", {}, "KV") : undefined;
    return tab(element("span", {}, name, mark === undefined ? [] : [" ", mark]), { view: "rows", collection: name });
  });
  const others = [tab("Import", { view: "import" }), tab("Figures", { view: "figures" })];
  if (origin !== undefined) others.unshift(tab("Changes", { view: "changes" }));
  return element("nav", { class: "tabs", "aria-label": `Views of ${database}` }, rows, others);
}

/** Chooses the moment that is shown; beside it stands which one it is. */
export function momentChooser(route, snapshot) {
  const { at, ...now } = route;
  const value = localText(at === undefined ? new Date(Date.now() - 60_000) : new Date(at));
  const input = element("input", { type: "datetime-local", step: 1, value, required: true, "aria-label": "Moment" });
  const onsubmit = (event) => {
    event.preventDefault();
    location.hash = routeTo({ ...now, at: new Date(input.value).toISOString() });
  };
  const form = element("form", { onsubmit }, input, element("button", {}, "Show"));
  const chooser = element("details", { class: "moment" }, element("summary", { id: "moment" }, "As it was at…"), form);
  if (snapshot === undefined) return chooser;
  const text = snapshot.predatesClone
    ? `This clone was not made yet at ${time(new Date(at))}.`
    : `As it was at ${time(new Date(at))}, ${point(snapshot.version)}. It can be read, and cloned from there.`;
  const back = element("a", { href: routeTo(now) }, "Back to now");
  return element("div", {}, element("p", { class: "past" }, text, " ", back), chooser);
}

/** A date in the form of datetime-local inputs, which know no time zone. */
function localText(date) {
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
