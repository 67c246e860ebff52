/** Merging in all its forms: a trial first, then the conflicts are settled by the person, then it is done. */
import { ConflictView } from "./conflicts.js";
import { ask } from "./dialogs.js";
import { element } from "./dom.js";
import { counted, number } from "./words.js";

/** Nothing is written. Every conflict is settled for the trial, so that the counts say what comes besides. */
export const rehearse = (run) => run({ dryRun: true, onConflict: () => "clone" });

/**
 * `run(options)` is the merge itself. Where there are conflicts the person is asked, `about` them; where there
 * are none only if `describe(trial)` says in words what will be done.
 * @returns the report of what was done, or undefined when the person left it
 */
export async function settle({ title, about, action, sides, run, describe }) {
  const trial = await rehearse(run);
  const isPlain = trial.conflicts.length === 0 && (describe === undefined || trial.outcome === "nothing");
  if (isPlain) return run({ onConflict: "fail" });
  const conflicts = new ConflictView(sides);
  const words = element("p", {});
  const show = (report) => {
    // The counts of a report that has conflicts depend on how these are settled, so they are not described yet.
    words.textContent = report.conflicts.length > 0 ? about : (describe?.(report) ?? "Nothing is in its way any more.");
    conflicts.show(report.conflicts);
  };
  show(trial);
  const submit = async () => {
    const choices = conflicts.read();
    try {
      return await run({ onConflict: (conflict) => choices(conflict) });
    } catch (error) {
      if (error?.code !== "MERGE_CONFLICT") throw error;
      // A row was changed since the trial, and conflicts now. The choices that were made for the other conflicts stay.
      show(await rehearse(run));
      throw new Error("it was changed meanwhile: look at what is not settled yet");
    }
  };
  const content = element("div", {}, words, conflicts.element);
  return ask({ title, content, action, submit, wide: trial.conflicts.length > 0 });
}

/** "1 inserted, 2 changed, 1 conflict settled" */
export function reportWords({ inserted, updated, deleted, conflicts, outcome }) {
  const counts = [
    [inserted, "inserted"],
    [updated, "changed"],
    [deleted, "deleted"],
  ];
  const parts = counts.filter(([count]) => count > 0).map(([count, word]) => `${number(count)} ${word}`);
  if (outcome === "nothing" || parts.length === 0) parts.unshift("nothing to write");
  if (conflicts.length > 0) parts.push(`${counted(conflicts.length, "conflict")} settled`);
  return parts.join(", ");
}
