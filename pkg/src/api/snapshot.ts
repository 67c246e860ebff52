/** A database as it was. */
import type * as contract from "../../types/offshoot.js";
import type { CoreScope } from "../core.js";
import { closesAtEndOfBlock } from "./dispose.js";
import { Scoped } from "./scoped.js";
import { Session } from "./session.js";
import { exportFrom } from "./transfer.js";

/** Lets diff() reach the scope without making it part of the class's face. */
const scopes = new WeakMap<object, Session>();

export function sessionOf(snapshot: object): Session | undefined {
  return scopes.get(snapshot);
}

export class Snapshot<S extends contract.SchemaOf<S>> extends Scoped<S> implements contract.Snapshot<S> {
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
  readonly predatesClone: boolean;
  readonly #session: Session;
  #closing: Promise<void> | undefined;

  constructor(live: Session, scope: CoreScope) {
    const session = new Session(live.instance, scope, "snapshot", live);
    super(session);
    this.#session = session;
    this.predatesClone = session.call(() => scope.predates_clone());
    scopes.set(this, session);
  }

  export(options?: contract.ExportOptions): ReadableStream<Uint8Array> {
    return exportFrom(this.#session, options);
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  #close(): Promise<void> {
    return this.#session.close("the snapshot is closed", (scope) => scope.close());
  }
}
closesAtEndOfBlock(Snapshot);
