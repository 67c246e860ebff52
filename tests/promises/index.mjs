// Every promise that the public API makes, as cases that run on any storage, in Node and in a page.
import { cases as clones } from "./clones.mjs";
import { cases as documents } from "./documents.mjs";
import { cases as handles } from "./handles.mjs";
import { cases as keyvalue } from "./keyvalue.mjs";
import { cases as materialize } from "./materialize.mjs";
import { cases as merging } from "./merging.mjs";
import { cases as reads } from "./reads.mjs";
import { cases as transactions } from "./transactions.mjs";
import { cases as transfer } from "./transfer.mjs";
import { cases as values } from "./values.mjs";
import { cases as writes } from "./writes.mjs";

export const suites = {
  values,
  documents,
  keyvalue,
  reads,
  writes,
  transactions,
  clones,
  materialize,
  merging,
  handles,
  transfer,
};
