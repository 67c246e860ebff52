// The page in which everything is measured. The driver calls it by name.
import { wasmBytes } from "./memory-watch.mjs";
import * as clones from "./clones.mjs";
import { fillFor, life, openings, singleInserts } from "./compared.mjs";
import { compactionGrowth, countedCosts } from "./costs.mjs";
import * as drafts from "./drafts.mjs";
import * as largeCommits from "./large-commits.mjs";
import { rowCosts } from "./rows.mjs";
import * as scan from "./scan.mjs";
import { spaceLeft } from "./space.mjs";
import { wideCosts } from "./wide.mjs";

if (!crossOriginIsolated) throw new Error("the page is not isolated, and its clock is too coarse");
const measures = { ...clones, ...drafts, ...largeCommits, ...scan };
const costs = { compactionGrowth, countedCosts, rowCosts, spaceLeft, wideCosts };
const one = { fillFor, life, openings, singleInserts, wasmBytes };
globalThis.bench = { ...measures, ...costs, ...one };
document.title = "ready";
