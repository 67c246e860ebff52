// Code that must compile with each host's types. `@ts-expect-error` marks code that must not. Nothing of it is run.
import {
  type Change,
  type Database,
  type ErrorCode,
  type KV,
  type Key,
  OffshootError,
  type Query,
  type Value,
  type Version,
  destroy,
  open,
} from "offshoot";

interface Todo {
  id?: string;
  title: string;
  done: boolean;
  tags: string[];
  count?: number;
  big: bigint;
  at?: Date;
  place: { city: string };
}
interface Shape {
  kind: "circle";
  radius: number;
}
interface Square {
  kind: "square";
  side: number;
}
interface Schema {
  todos: Todo;
  shapes: Shape | Square;
  settings: KV<{ theme: string; size: number }>;
  kv: KV<number>;
}

/** Fails to compile unless the two are one type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(..._: Same<A, B> extends true ? [] : [never]): void => undefined;

/** Code that is generic over a document's type reaches its collection, and no KV collection by that way. */
export async function generic<T extends { id?: string; title: string }>(
  db: Database<{ things: T; kv: KV<T> }>,
): Promise<string[]> {
  // @ts-expect-error: a KV collection holds no documents
  db.collection("kv");
  // @ts-expect-error: there is no such collection
  db.collection("others");
  return (await db.collection("things").find().toArray()).map((thing) => `${thing.id} ${thing.title}`);
}

export async function typed(): Promise<void> {
  const db = await open<Schema>("app", {
    storage: "memory",
    durability: "strict",
    history: { retain: "1.5h" },
    cacheBytes: 1,
  });
  const todos = db.collection("todos");
  const id: string = await todos.insert({ title: "x", done: false, tags: [], big: 1n, place: { city: "y" } });
  await todos.put({ id, title: "x", done: false, tags: [], big: 1n, place: { city: "y" } });
  const todo = await todos.get(id);
  same<typeof todo, (Todo & { id: string }) | undefined>();
  if (todo !== undefined) same<typeof todo.id, string>();
  // @ts-expect-error: a field is missing
  await todos.insert({ title: "x" });
  // @ts-expect-error: a field of the wrong type
  await todos.insert({ title: 5, done: false, tags: [], big: 1n, place: { city: "y" } });
  // @ts-expect-error: an id is text
  await todos.get(5);
  // @ts-expect-error: no such collection
  db.collection("tasks");
  // @ts-expect-error: a KV collection
  db.collection("settings");
  // @ts-expect-error: a collection of documents
  db.kv("todos");
  // @ts-expect-error: an option that does not exist
  await open("app", { memory: true });
  // @ts-expect-error: no unit of time
  await open("app", { history: { retain: "1 hour" } });
  await destroy("app", { storage: "memory" });
  await using copy = await db.clone("copy", { at: new Date(), existing: "open" });
  same<typeof copy, Database<Schema>>();
  const closed: OffshootError | undefined = await db.closed;
  void closed;
}

export async function updates(db: Database<Schema>): Promise<void> {
  const todos = db.collection("todos");
  await todos.update("a", { done: true, "place.city": "z", at: undefined });
  await todos.update("a", {
    $set: { title: "y" },
    $unset: { at: true, "place.city": 1 },
    $inc: { count: 1, big: 2n, "place.visits": 1 },
  });
  // @ts-expect-error: a field of the wrong type
  await todos.update("a", { done: "yes" });
  // @ts-expect-error: only numbers count up
  await todos.update("a", { $inc: { title: 1 } });
  // @ts-expect-error: an id stays
  await todos.update("a", { id: "b" });
  // @ts-expect-error: an id stays
  await todos.update("a", { $unset: { id: true } });
  // @ts-expect-error: no such operator
  await todos.update("a", { $push: { tags: "x" } });
  await db.collection("shapes").insert({ kind: "circle", radius: 1 });
  // @ts-expect-error: a circle has no side
  await db.collection("shapes").insert({ kind: "circle", side: 1 });
}

export async function queries(db: Database<Schema>): Promise<void> {
  const query: Query<Todo> = db.collection("todos").find().skip(1).limit(2);
  const { rows, next } = await query.page(10);
  same<typeof next, string | undefined>();
  if (next !== undefined) await query.after(next).page(10);
  for await (const row of query) same<typeof row, Todo & { id: string }>();
  const titles: string[] = rows.map((row) => row.title);
  const first: string | undefined = (await query.first())?.id;
  const count: number = (await query.count()) + (await db.collection("todos").count());
  void [titles, first, count];
  // @ts-expect-error: this version finds without a filter
  db.collection("todos").find({ done: true });
}

export async function keyValue(db: Database<Schema>): Promise<void> {
  const settings = db.kv("settings");
  const set: boolean = await settings.set(["user", 1], { theme: "dark", size: 1 }, { ifAbsent: true });
  const theme: string | undefined = await settings.getField("x", "theme");
  await settings.setField("x", "size", undefined);
  // @ts-expect-error: no such field
  await settings.getField("x", "colour");
  // @ts-expect-error: a field of the wrong type
  await settings.setField("x", "size", "large");
  // @ts-expect-error: a value of the wrong type
  await settings.set("x", 5);
  // @ts-expect-error: an array in an array is no key
  await settings.get([["a"]]);
  const entries: [Key, { theme: string; size: number }][] = await settings
    .list({ prefix: ["user"], reverse: true, limit: 5 })
    .toArray();
  const number: number | undefined = await db.kv().get("x");
  await db.kv().setMany(new Map<Key, number>([["a", 1]]));
  void [set, theme, entries, number];
}

export async function transactions(db: Database<Schema>): Promise<void> {
  const result: number = await db.transaction(
    async (tx) => {
      await tx.collection("todos").update("a", { done: true });
      const version: Version = tx.version;
      // @ts-expect-error: a transaction has no transactions
      await tx.transaction(() => version);
      return 5;
    },
    {
      isolation: "snapshot",
      retries: 3,
      onCommit: (version: Version) => void version,
      signal: new AbortController().signal,
    },
  );
  // @ts-expect-error: no such isolation
  await db.transaction(() => result, { isolation: "none" });
  const snapshot = await db.at(db.version);
  await snapshot.collection("todos").count();
  // @ts-expect-error: a snapshot is only read
  await snapshot.collection("todos").insert({});
  // @ts-expect-error: a snapshot is only read
  await snapshot.kv().set("a", 1);
  const past: boolean = snapshot.predatesClone;
  void past;
}

export async function changes(db: Database<Schema>): Promise<void> {
  for await (const change of db.diff({ against: db, collection: "todos" })) {
    if (change.kind === "documents" && change.collection === "todos" && change.op === "update") {
      same<typeof change.after.title, string>();
      const fields: string[] = change.fields;
      void fields;
    }
    // @ts-expect-error: an insert has no other side
    if (change.op === "insert") void change.before;
  }
  const all: Change<Schema>[] = await db.diff().toArray();
  // @ts-expect-error: no such collection
  db.diff({ collection: "tasks" });
  void all;
}

export async function transfers(db: Database<Schema>, file: Uint8Array): Promise<void> {
  const stream: ReadableStream<Uint8Array> = db.export({ onProgress: ({ rowsDone }) => void rowsDone });
  const { documents, entries, skipped } = await db.import(stream, { replace: true });
  void (documents + entries + (skipped ?? 0));
  await db.import(file, { onProgress: ({ bytesDone }) => void bytesDone });
  void (await db.at(db.version)).export({ salvage: true });
  // @ts-expect-error: text is no export
  await db.import("text");
}

export async function untyped(): Promise<void> {
  const db = await open("app");
  const value: Value = { a: [1, 1n, "x", null, new Date(), new Uint8Array(1), { deep: [] }] };
  await db.collection("anything").insert({ value, more: 5 });
  const row = await db.collection("anything").get("a");
  void row?.whatever;
  await db.kv("any").set("a", value);
  // @ts-expect-error: a document is an object
  await db.collection("anything").insert("text");
}

export function errors(error: unknown): string {
  if (OffshootError.is(error, "INVALID_VALUE")) {
    same<typeof error.code, "INVALID_VALUE">();
    return error.details.path;
  }
  if (OffshootError.is(error, "INVALID_IMPORT")) return `byte ${error.details.offset}, frame ${error.details.frame}`;
  if (OffshootError.is(error, "CLONE_DEPENDENCY")) return error.details.dependents.join();
  if (OffshootError.is(error)) {
    const code: ErrorCode = error.code;
    return error.retryable ? code : error.message;
  }
  // @ts-expect-error: no such code
  return OffshootError.is(error, "NOT_FOUND") ? "" : "x";
}

export function rebuilt(message: unknown): string | undefined {
  const error: OffshootError | undefined = OffshootError.from(message);
  if (!OffshootError.is(error, "INVALID_VALUE")) return error?.details.outcome;
  same<typeof error.details.outcome, "none" | "unknown">();
  return error.details.path;
}
