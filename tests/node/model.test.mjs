// The TypeScript of the package on a model of the core: every promise, without WebAssembly. What fails here and not on
// the real core is a mistake of the model; what fails on both is one of the TypeScript or of the promise.
import { test } from "node:test";
import { suites } from "../promises/index.mjs";
import { openModel } from "./model/api.mjs";

const api = await openModel();
for (const [suite, cases] of Object.entries(suites)) {
  for (const { name, run } of cases) test(`${suite}: ${name}`, () => run({ ...api, storage: "memory" }));
}
