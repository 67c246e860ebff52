/** The heading above a view: the database's name, the buttons of its actions, its collections and views. */
import { button, element } from "./dom.js";
import { routeTo } from "./route.js";
import { point, time } from "./words.js";

/** Chooses the view: that of the address; if it is not there, the first collection; if there is none, the import. */
export function chooseView(route, collections, origin) {
  if (route.view === "figures" || route.view === "import") return { view: route.view };
  if (route.view === "changes" && origin !== undefined) return { view: "changes" };
  if (route.view === "since" && route.at !== undefined) return { view: "since" };
  const wanted = collections.find(({ name }) => name === route.collection) ?? collections[0];
  if (wanted === undefined) return { view: "import" };
  return { view: "rows", collection: wanted.name, kind: wanted.kind };
}

/** `on` are the listeners of the buttons; `next` is what undo and redo would turn. The past can only be cloned. */
export function heading(info, { on, next, isPast }) {
  const { name, origin, status } = info;
  const turn = (which, word) => {
    const entry = next[which];
    if (entry === undefined) return undefined;
    const title = `${word}: ${entry.words}`;
    const keys = which === "undo" ? "Control+Z" : "Control+Shift+Z";
    return button(word, on[which], { id: which, title, "aria-label": title, "aria-keyshortcuts": keys });
  };
  const isClone = origin !== undefined;
  const isRoot = status.state === "root";
  const copy = button("Materialize", on.materialize, { id: "materialize", hidden: isPast || !isClone });
  const drop = button("Drop", on.drop, { class: "danger", id: "drop", hidden: isPast || isRoot });
  const clone = button("Clone", on.clone, { class: "primary", id: "clone" });
  const title = element("div", {}, element("h2", {}, name), element("p", { class: "about" }, aboutOf(info)));
  const buttons = [turn("undo", "Undo"), turn("redo", "Redo"), drop, copy, clone];
  return element("div", { class: "head" }, title, element("div", { class: "buttons" }, buttons));
}

function aboutOf({ origin, asOf, createdAt, expiresAt, status }) {
  const made = `made ${time(createdAt)}`;
  const ends = expiresAt === undefined ? "" : `. It goes by itself after ${time(expiresAt)}`;
  if (origin !== undefined) return `Clone of ${origin} as of ${point(asOf)}, ${made}${ends}`;
  return status.state === "root" ? `The root, ${made}` : `Materialized: it stands alone, ${made}${ends}`;
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
  const others = [tab("Import and export", { view: "import" }), tab("Figures", { view: "figures" })];
  if (origin !== undefined) others.unshift(tab("Changes", { view: "changes" }));
  if (at !== undefined) others.unshift(tab("Since then", { view: "since" }));
  return element("nav", { class: "tabs", "aria-label": `Views of ${database}` }, rows, others);
}
