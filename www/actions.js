/** The actions on a whole database: clone, drop, materialize, restore, undo. */
import { askForClone, askToRestore, confirm } from "./dialogs.js";
import { settle, reportWords } from "./merging.js";
import { counted, duration, listed, size, time } from "./words.js";

export async function clone(page, { database, at, view, collection }) {
  const taken = page.databases.map(({ name }) => name);
  const create = (name, options) => page.store.clone(database, name, at, options);
  const moment = at === undefined ? undefined : time(new Date(at));
  const made = await askForClone({ origin: database, at: moment, taken, create });
  if (made === undefined) return;
  page.tellTabs();
  const all = await page.store.databases();
  const bytes = (wanted) => size(all.find(({ name }) => name === wanted)?.ownBytes ?? 0);
  page.go(
    { database: made.name, view, collection },
    `${made.name} was cloned from ${database} in ${duration(made.took)}. It takes ${bytes(made.name)} of its own, ` +
      `${database} ${bytes(database)}. Change it as you like: ${database} stays as it is.`,
  );
}

/** Drops a database, if the person agrees. Clones that read its rows are materialized first. */
export async function drop(page, { name, origin, dependents }) {
  const home = origin ?? "main";
  const kept = origin === undefined ? "All of its rows go." : `What it changed itself goes. ${origin} is not touched.`;
  const isNeeded = dependents.length > 0;
  const noun = dependents.length === 1 ? "clone depends" : "clones depend";
  const them = dependents.length === 1 ? "It is" : "They are";
  const needed =
    `${dependents.length} ${noun} on it: ${listed(dependents)}. ${them} materialized first, which copies every row ` +
    `that is read from ${name}. If that fails, nothing is dropped. ${kept}`;
  const action = isNeeded ? "Materialize and drop" : "Drop";
  const work = () => page.store.drop(name, { force: isNeeded });
  const isDone = await confirm(`Drop ${name}?`, isNeeded ? needed : kept, action, work);
  if (!isDone) return;
  page.undoing.forget(name);
  page.tellTabs();
  const others = isNeeded ? `${listed(dependents)} ${dependents.length === 1 ? "was" : "were"} materialized. ` : "";
  const untouched = origin === undefined ? "" : ` ${origin} was not touched.`;
  page.go({ database: home }, `${others}${name} was dropped.${untouched}`);
}

export async function restore(page, { database, snapshot, at }) {
  const { name } = database;
  const moment = time(new Date(at));
  const taken = page.databases.map((each) => each.name);
  const work = (keepAs) => database.restore(snapshot.version, keepAs === undefined ? {} : { keepAs });
  const answer = await askToRestore({ name, moment, taken, work });
  if (answer === undefined) return;
  page.undoing.forget(name);
  page.tellTabs();
  const kept = answer.keepAs === undefined ? "" : ` The present is kept as ${answer.keepAs}.`;
  const { view, collection } = page.route;
  const present = { database: name, view: view === "since" ? undefined : view, collection };
  page.go(present, `${name} is as it was at ${moment}.${kept}`);
}

/** Copies what the clone reads of its origin, however long that takes. */
export async function materialize(page, database, { origin, dependents }, task) {
  const { name } = database;
  const status = await database.status();
  const isBegun = status.state === "materializing";
  const others = dependents.length === 0 ? "" : ` ${listed(dependents)} reads the same as before.`;
  const text =
    `Every row that ${name} reads of ${origin} is copied, and the link is cut: it can't be merged into ${origin} ` +
    `any more, nor rebased or reset. It can be aborted, and goes on later where it stopped.${others}`;
  const isAgreed = isBegun || (await confirm(`Materialize ${name}?`, text, "Materialize", () => undefined));
  if (!isAgreed) return;
  const began = performance.now();
  let rows;
  const words = await task.run(async ({ signal, onProgress }) => {
    const watch = (progress) => onProgress((rows = progress));
    try {
      await database.materialize({ signal, onProgress: watch });
    } catch (error) {
      if (error?.code !== "ABORTED" || !signal.aborted) throw error;
      return `Aborted. What is copied stays copied, and ${name} is used as before.`;
    }
    const all = rows === undefined ? "" : ` ${counted(rows.rowsDone, "row")}, ${size(rows.bytesDone)}, in`;
    return `${name} is materialized:${all} ${duration(performance.now() - began)}. It stands alone now.`;
  });
  await page.wrote(words);
}

/** Undoes or redoes the last action on this database; asks the person where later changes conflict with that. */
export async function undo(page, database, which) {
  const entry = page.undoing.next(database.name, which);
  if (entry === undefined) return;
  const word = which === "undo" ? "Undo" : "Redo";
  const sides = { base: "As it was left", clone: "As it is now", origin: "As it was before" };
  const report = await settle({
    title: `${word} ${entry.words}?`,
    about: "It was changed since. What is to be there?",
    action: word,
    sides,
    run: (options) => database.revert(entry.version, options),
  }).catch((error) => {
    // History no longer reaches this commit, so it can't be taken back: remove it, so that the one before it is next.
    if (error?.code === "HISTORY_PRUNED") page.undoing.turned(database.name, which, undefined);
    throw error;
  });
  if (report === undefined) return;
  page.undoing.turned(database.name, which, report.outcome === "nothing" ? undefined : report.version);
  await page.wrote(`${word === "Undo" ? "Undone" : "Done again"}: ${entry.words}. ${reportWords(report)}.`);
}
