/** Opening and destroying stores. */
import type * as contract from "../../types/offshoot.js";
import { unlessAborted } from "../errors.js";
import { checkName } from "./check.js";
import { openDatabase } from "./database.js";
import { checkDestroyOptions, checkOpenOptions } from "./options.js";
import { acquire, destroyStore } from "./store.js";

const ROOT = "main";

export async function open<S extends contract.SchemaOf<S> = any>(
  name: string,
  options: contract.OpenOptions = {},
): Promise<contract.Database<S>> {
  checkName(name, "store");
  checkOpenOptions(options);
  // A copy, since later opens are compared with it.
  const { database = ROOT, signal, ...rest } = options;
  const opening = async (): Promise<contract.Database<S>> => openDatabase<S>(await acquire(name, rest), database);
  let unheard: Promise<contract.Database<S>> | undefined;
  try {
    return await unlessAborted(signal, () => (unheard = opening()));
  } catch (error) {
    // An opening that nobody waits for any more ends in a handle that nobody would close.
    unheard?.then((opened) => opened.close()).catch(() => undefined);
    throw error;
  }
}

export async function destroy(name: string, options?: Pick<contract.OpenOptions, "storage">): Promise<void> {
  checkName(name, "store");
  checkDestroyOptions(options);
  await destroyStore(name, options?.storage);
}
