/** The core's reports as the declarations have them: times, which cross as milliseconds, become Dates. */
import type { CollectionInfo, DatabaseInfo, LineageEntry, Stats, When } from "../../types/offshoot.js";

/** A point of history in the core's terms: a version's text or milliseconds. */
export function asMoment(when: When): string | number {
  return typeof when === "string" ? when : when.getTime();
}

export function asDatabaseInfo(report: object): DatabaseInfo {
  return withDates(report, "createdAt", "expiresAt") as unknown as DatabaseInfo;
}

export function asLineageEntry(report: object): LineageEntry {
  return withDates(report, "createdAt") as unknown as LineageEntry;
}

export function asCollectionInfo(report: object): CollectionInfo {
  const { name, kind, indexes } = report as Partial<CollectionInfo>;
  return { name: name!, kind: kind!, indexes: indexes ?? [] };
}

function withDates(report: object, ...names: string[]): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(report)) {
    // A field that the core leaves undefined is left out of the report.
    if (value === undefined) continue;
    copy[name] = names.includes(name) ? new Date(value as number) : value;
  }
  return copy;
}

/** The host's figures for all that this web origin stores. A host without a storage manager gives none. */
export async function originFigures(): Promise<Pick<Stats, "quota" | "usage" | "persisted">> {
  const figures: Pick<Stats, "quota" | "usage" | "persisted"> = {};
  try {
    const { quota, usage } = await inTime(navigator.storage.estimate());
    if (quota !== undefined) figures.quota = quota;
    if (usage !== undefined) figures.usage = usage;
    figures.persisted = await inTime(navigator.storage.persisted());
  } catch {
    // Private windows and insecure pages have no storage manager, and one that does not answer is as none.
  }
  return figures;
}

/** Milliseconds after which a wait for the host ends, as in the core. */
const WAIT = 20_000;

/** Settles like `answer`, and rejects if that takes too long. */
async function inTime<R>(answer: Promise<R>): Promise<R> {
  let timer: unknown;
  const late = new Promise<never>((_, reject) => (timer = setTimeout(reject, WAIT)));
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer as number);
  }
}
