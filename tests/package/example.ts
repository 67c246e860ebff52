// The first lines of an app's author, in TypeScript: the type tests compile them for every kind of host.
import { open, OffshootError, type Database, type KV } from "offshoot";

interface Todo {
  title: string;
  done: boolean;
  due?: Date;
}
type Schema = { todos: Todo; settings: KV<{ theme: "light" | "dark" }> };

export async function finishAll(name: string): Promise<number> {
  const db: Database<Schema> = await open<Schema>(name, { storage: "memory", durability: "strict" });
  const draft = await db.clone("draft");
  const id: string = await draft.collection("todos").insert({ title: "write", done: false });
  await draft.kv("settings").set("ui", { theme: "dark" });
  const found = await draft.transaction(async (tx) => {
    await tx.collection("todos").update(id, { $set: { done: true } });
    return tx.collection("todos").get(id);
  });
  try {
    await draft.drop();
  } catch (error) {
    if (!OffshootError.is(error, "CLONE_DEPENDENCY")) throw error;
    console.log(error.details.dependents);
  }
  await db.close();
  return found?.due?.getTime() ?? 0;
}
