/** The exports of the package, the same in every host. */
import { instance } from "./instance.js";

export { destroy, open } from "./api/open.js";
export { OffshootError } from "./errors.js";

/** The version of the core. */
export async function version(): Promise<string> {
  return (await instance()).core.version();
}
