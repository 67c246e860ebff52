/** Merging: options in, reports out, and the caller's own policy and selection between them. */
import type * as contract from "../../types/offshoot.js";
import { Reader, Writer } from "../codec/index.js";
import { isPlainObject } from "../codec/kinds.js";
import type { CoreMergeOptions } from "../core.js";
import { OffshootError, aborted, unlessAborted } from "../errors.js";
import { type Kind, callable, checkOptions, flag, invalidOption, shown, signal, when } from "./check.js";
import { readChanges } from "./diff.js";
import { asMoment } from "./reports.js";
import type { Session } from "./session.js";

const POLICY = '"fail", "clone", "origin", { value } or a function';
const policy: Kind = { is: (value) => typeof value === "function" || isResolution(value), words: POLICY };
const MERGE = { onConflict: policy, only: callable, at: when, dryRun: flag, signal };
const REBASE = { onConflict: policy, to: when, dryRun: flag, signal };
const REVERT = { onConflict: policy, dryRun: flag };

/** The options of a call into the core. `thrown()` gives the error of the caller's function, if that threw one. */
interface Question {
  readonly options: CoreMergeOptions;
  thrown(): { readonly error: unknown } | undefined;
}

export async function merge<S>(
  session: Session,
  options: contract.MergeOptions<S> = {},
): Promise<contract.MergeReport> {
  checkOptions(options, MERGE, "merge");
  const question = ask(session, options);
  if (options.at !== undefined) question.options.at = asMoment(options.at);
  return answered(session, question, options, () => session.scope.merge(question.options));
}

export async function rebase(
  session: Session,
  options: Omit<contract.MergeOptions, "only" | "at"> & { to?: contract.When } = {},
): Promise<contract.MergeReport> {
  checkOptions(options, REBASE, "rebase");
  const question = ask(session, options);
  if (options.to !== undefined) question.options.to = asMoment(options.to);
  return answered(session, question, options, () => session.scope.rebase(question.options));
}

export async function revert(
  session: Session,
  commits: contract.Version | readonly contract.Version[],
  options: Pick<contract.MergeOptions, "onConflict" | "dryRun"> = {},
): Promise<contract.MergeReport> {
  checkOptions(options, REVERT, "revert");
  const versions: unknown = typeof commits === "string" ? [commits] : commits;
  if (!Array.isArray(versions) || !versions.every((version) => typeof version === "string")) {
    throw invalidOption("commits", "of revert must be a version or an array of versions", commits);
  }
  const question = ask(session, options);
  return answered(session, question, options, () => session.scope.revert(versions, question.options));
}

export async function reset<S>(session: Session, options: { only?: contract.Selection<S> } = {}): Promise<void> {
  checkOptions(options, { only: callable }, "reset");
  const question = ask(session, options);
  await unwrapped(session, question, undefined, () => session.scope.reset(question.options.only));
}

async function answered(
  session: Session,
  question: Question,
  options: contract.MergeOptions,
  work: () => Promise<Uint8Array>,
): Promise<contract.MergeReport> {
  const bytes = await unwrapped(session, question, options.signal, work);
  const report = readReport(bytes);
  if (report.outcome !== "conflict" || options.dryRun === true) return report;
  const { conflicts } = report;
  const places = conflicts.slice(0, 3).map(place).join(", ");
  const more = conflicts.length > 3 ? ` and ${conflicts.length - 3} more` : "";
  throw new OffshootError("MERGE_CONFLICT", `both sides changed the same: ${places}${more}`, { conflicts });
}

function place({ collection, key, field }: contract.Conflict): string {
  return `${collection}/${shown(key)}${field === undefined ? "" : `.${field}`}`;
}

function heed(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

/** Runs `work`. An error of the caller's function is thrown on unchanged, and an abort is thrown with its reason. */
async function unwrapped<R>(
  session: Session,
  question: Question,
  signal: AbortSignal | undefined,
  work: () => Promise<R>,
): Promise<R> {
  heed(signal);
  try {
    return await session.callAsync(work);
  } catch (error) {
    const thrown = question.thrown();
    if (thrown !== undefined) throw thrown.error;
    if (signal?.aborted === true && OffshootError.is(error, "ABORTED")) throw aborted(signal);
    throw error;
  }
}

function ask<S>(session: Session, given: contract.MergeOptions<S>): Question {
  const { onConflict, only, dryRun, signal } = given;
  const options: CoreMergeOptions = {};
  let thrown: { error: unknown } | undefined;
  const guarded =
    (answer: (question: Uint8Array) => Promise<Uint8Array>) =>
    async (question: Uint8Array): Promise<Uint8Array> => {
      try {
        heed(signal);
        return await session.unlessEnded(() => unlessAborted(signal, () => answer(question)));
      } catch (error) {
        thrown ??= { error };
        throw error;
      }
    };
  if (typeof onConflict === "function") options.policy = guarded((question) => settle(question, onConflict));
  else if (typeof onConflict === "object") options.policy = guarded((question) => settle(question, () => onConflict));
  else if (onConflict !== undefined) options.policy = encode((writer) => writeResolutions(writer, [[onConflict]]));
  if (only !== undefined) options.only = guarded((question) => select(question, only));
  if (dryRun === true) options.dryRun = true;
  if (signal !== undefined) options.isAborted = () => signal.aborted;
  return { options, thrown: () => thrown };
}

async function settle(question: Uint8Array, policy: Exclude<contract.ConflictPolicy, contract.Resolution>) {
  const resolutions: Resolved[] = [];
  for (const conflict of readConflicts(new Reader(question))) {
    const resolution: unknown = await policy(conflict);
    if (!isResolution(resolution)) {
      throw invalidOption("onConflict", 'must answer "fail", "clone", "origin" or { value }', resolution);
    }
    resolutions.push([resolution, conflict]);
  }
  return encode((writer) => writeResolutions(writer, resolutions));
}

async function select<S>(question: Uint8Array, only: contract.Selection<S>): Promise<Uint8Array> {
  const answers: (boolean | string[])[] = [];
  for (const change of readChanges<S>(new Reader(question))) {
    const answer: unknown = await only(change);
    const isFields = Array.isArray(answer) && answer.every((field) => typeof field === "string");
    if (typeof answer !== "boolean" && !isFields) {
      throw invalidOption("only", "must answer true, false or an array of fields", answer);
    }
    if (isFields && change.op === "update") {
      const changed: ReadonlySet<string> = new Set(change.fields);
      answer.forEach((field) => checkSelected(field, changed));
    }
    answers.push(answer as boolean | string[]);
  }
  return encode((writer) => writer.value(answers));
}

/** Refuses a path into a changed field: only whole fields are selected. Fields that did not change are passed over. */
function checkSelected(field: string, changed: ReadonlySet<string>): void {
  const outer = field.split(".", 1)[0]!;
  if (outer === field || changed.has(field) || !changed.has(outer)) return;
  throw invalidOption("only", `selects whole fields, as those of the change: "${outer}" for what is inside it`, field);
}

function isResolution(value: unknown): value is contract.Resolution {
  return value === "fail" || value === "clone" || value === "origin" || (isPlainObject(value) && "value" in value);
}

/** A resolution, and what it settles. */
type Resolved = readonly [resolution: contract.Resolution, conflict?: contract.Conflict];

/** 0: it stays a conflict; 1 and 2: a side wins; an array of none or one: that value. */
function writeResolutions(writer: Writer, resolutions: readonly Resolved[]): void {
  writer.arrayHeader(resolutions.length);
  for (const [resolution, conflict] of resolutions) {
    if (typeof resolution === "string") {
      writer.number({ fail: 0, clone: 1, origin: 2 }[resolution]);
    } else if (resolution.value === undefined) {
      writer.arrayHeader(0);
    } else {
      writer.arrayHeader(1);
      const isDocument = conflict?.kind === "documents" && conflict.field === undefined;
      writeValue(writer, resolution.value, isDocument ? (conflict.key as string) : undefined);
    }
  }
}

/** A whole document travels without its id, and keeps it. */
function writeValue(writer: Writer, value: unknown, id: string | undefined): void {
  if (id === undefined) {
    writer.value(value);
    return;
  }
  if (!isPlainObject(value)) {
    throw new OffshootError("INVALID_VALUE", "a document must be a plain object", { path: "" });
  }
  if (value.id !== undefined && value.id !== id) {
    throw new OffshootError("INVALID_VALUE", `a document keeps its id. id=${shown(value.id)}`, { path: "id" });
  }
  writer.document(value);
}

function encode(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer();
  write(writer);
  return writer.bytes.slice(0, writer.position);
}

/** [outcome, inserted, updated, deleted, version, conflicts] */
function readReport(bytes: Uint8Array): contract.MergeReport {
  const answer = new Reader(bytes);
  answer.arrayHeader();
  const outcome = answer.value() as contract.MergeReport["outcome"];
  const [inserted, updated, deleted] = [answer.value() as number, answer.value() as number, answer.value() as number];
  const version = answer.value() as string;
  return { outcome, inserted, updated, deleted, conflicts: readConflicts(answer), version };
}

function readConflicts(answer: Reader): contract.Conflict[] {
  const conflicts: contract.Conflict[] = [];
  for (let left = answer.arrayHeader(); left > 0; left--) conflicts.push(readConflict(answer));
  return conflicts;
}

/** [reason, kind, collection, key, field, base, clone, origin]; a side is an array of none or one. */
function readConflict(answer: Reader): contract.Conflict {
  answer.arrayHeader();
  const reason = answer.value() as "field" | "row";
  const kind = answer.value() as "documents" | "kv";
  const collection = answer.value() as string;
  const key = answer.value() as contract.Key;
  const field = answer.value() as string | null;
  const conflict: contract.Conflict = { reason, collection, kind, key };
  if (field !== null) conflict.field = field;
  for (const side of ["base", "clone", "origin"] as const) {
    if (answer.arrayHeader() === 0) continue;
    conflict[side] = field === null && kind === "documents" ? answer.document(key as string) : answer.value();
  }
  return conflict;
}
