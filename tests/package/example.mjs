// The README's first example: the program that every kind of app runs in these tests, the package by its name.
import { open } from "offshoot";

export async function example() {
  const db = await open("demo", { storage: "memory" });
  const todos = db.collection("todos");
  const id = await todos.insert({ title: "water the plants", done: false });

  const draft = await db.clone("draft");
  await draft.collection("todos").update(id, { done: true });

  const [here, there] = [await todos.get(id), await draft.collection("todos").get(id)];
  await Promise.all([draft.close(), db.close()]);
  return `${here.title}: ${here.done} here, ${there.done} in the draft`;
}
