// A tab of an app: the package as it ships, and what a test needs to ask of it.
import * as offshoot from "/pkg/dist/browser.js";
import { attempt } from "./attempt.mjs";

Object.assign(globalThis, { offshoot, attempt, open: (name) => offshoot.open(name, { storage: "indexeddb" }) });
document.title = "ready";
