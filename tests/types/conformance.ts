// The sources are what the declarations say: each export of one can stand for that of the other.
import type * as contract from "../../pkg/types/offshoot.js";
import type * as sources from "../../pkg/src/index.js";

interface Todo {
  id?: string;
  title: string;
}
interface Schema {
  todos: Todo;
  kv: contract.KV<number>;
}
type Assignable<From extends To, To> = [From, To];

/** Everything that the contract exports as a value, the sources export, callable in the same ways. */
export type Functions = Assignable<
  Pick<typeof sources, "open" | "destroy" | "version">,
  Pick<typeof contract, "open" | "destroy" | "version">
>;
/** The sources export nothing that the contract keeps silent about, and leave nothing out. */
export type NoMore = Assignable<keyof typeof sources, keyof typeof contract>;
export type NoLess = Assignable<keyof typeof contract, keyof typeof sources>;
/** The class and its copy are one to TypeScript, in both directions. */
export type Thrown = Assignable<sources.OffshootError<"CONFLICT">, contract.OffshootError<"CONFLICT">>;
export type Caught = Assignable<contract.OffshootError<"INVALID_VALUE">, sources.OffshootError<"INVALID_VALUE">>;
export type Recognised = Assignable<typeof sources.OffshootError.is, typeof contract.OffshootError.is>;
/** `open<Schema>()` gives a database of the schema, by the sources as by the contract. */
export type Opened = Assignable<
  Awaited<ReturnType<typeof sources.open<Schema>>>,
  Awaited<ReturnType<typeof contract.open<Schema>>>
>;

// @ts-expect-error: the check has teeth
export type Wrong = Assignable<typeof sources.destroy, (name: number) => Promise<void>>;
