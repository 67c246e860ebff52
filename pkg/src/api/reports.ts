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
    const { quota, usage } = await navigator.storage.estimate();
    if (quota !== undefined) figures.quota = quota;
    if (usage !== undefined) figures.usage = usage;
    figures.persisted = await navigator.storage.persisted();
  } catch {
    // Private windows and insecure pages have no storage manager.
  }
  return figures;
}
