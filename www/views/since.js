/** The changes of this database between a moment of the past and now. */
import { element } from "../dom.js";
import { counted, point, time } from "../words.js";
import { ChangeList } from "./changelist.js";

export async function sinceView(page, { database, snapshot }) {
  const { at } = page.route;
  const from = `${time(new Date(at))}, ${point(snapshot.version)}`;
  const summarize = (list) => {
    const { changes, isDone, counts } = list;
    if (changes.length === 0) return `Nothing has changed in ${database.name} since ${from}.`;
    if (!isDone) return `The first ${counts} since ${from}.`;
    return `${counted(changes.length, "row")} of ${database.name} changed since ${from}: ${counts}.`;
  };
  const list = new ChangeList(page, { summarize });
  const reload = () => list.read(database.diff({ against: snapshot }));
  await reload();
  return { element: element("div", {}, list.elements), reload };
}
