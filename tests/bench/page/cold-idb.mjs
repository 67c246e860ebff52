// A page that does nothing but open a store and read one document.
import { readAtOnce } from "./cold.mjs";
import { open } from "./idb.mjs";

await readAtOnce(open);
