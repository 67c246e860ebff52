// The TypeScript of the package on a model of the core: every promise, without WebAssembly. A case that fails here and
// not on the real core shows a mistake of the model. One that fails on both shows a mistake of the TypeScript or of the
// promise.
import { test } from "node:test";
import { suites } from "../promises/index.mjs";
import { openModel } from "./model/api.mjs";

const api = await openModel();
// The model does not merge: a second merge would be a second engine, and that is in tests/model.
const { merging: _, ...modelled } = suites;
for (const [suite, cases] of Object.entries(modelled)) {
  for (const { name, run } of cases) test(`${suite}: ${name}`, () => run({ ...api, storage: "memory" }));
}
