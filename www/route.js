/** The address names the view that the page shows, after the #, so that links, reload, Back and Forward all work. */

const VIEWS = ["rows", "changes", "since", "figures", "import"];

/** @returns {{ database: string, view?: string, collection?: string, at?: string }} */
export function readRoute(hash) {
  const [path, query] = hash.replace(/^#\/?/, "").split("?");
  const [database, view, collection] = path.split("/").map(decoded);
  const route = { database: database || "main" };
  if (VIEWS.includes(view)) route.view = view;
  if (view === "rows" && collection) route.collection = collection;
  const at = new URLSearchParams(query).get("at");
  if (at !== null && !Number.isNaN(Date.parse(at))) route.at = at;
  return route;
}

export function routeTo({ database, view, collection, at }) {
  const path = [database, view, collection].filter((part) => part !== undefined).map(encodeURIComponent);
  return `#/${path.join("/")}${at === undefined ? "" : `?at=${encodeURIComponent(at)}`}`;
}

/** An address typed by hand may hold what is no encoding at all. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
