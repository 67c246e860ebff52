// Looks for programs as a shell would.
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** Where on the PATH the first of these programs lies; undefined when there is none. */
export function findProgram(...names) {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const places = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
