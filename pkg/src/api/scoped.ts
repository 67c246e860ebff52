/** What databases, transactions and snapshots have in common: collections by name. */
import type * as contract from "../../types/offshoot.js";
import { checkName } from "./check.js";
import { Collection } from "./collection.js";
import { KeyValue } from "./keyvalue.js";
import type { Session } from "./session.js";

const DEFAULT_KV = "kv";

export class Scoped<S extends contract.SchemaOf<S>> {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  get version(): contract.Version {
    return this.#session.version();
  }

  collection<N extends contract.DocNames<S>>(name: N): contract.Collection<S[N]> {
    checkName(name, "collection");
    return new Collection<S[N]>(this.#session, name);
  }

  kv(): contract.KeyValue<contract.KvOf<S, "kv">>;
  kv<N extends contract.KvNames<S>>(name: N): contract.KeyValue<contract.KvOf<S, N>>;
  kv(name: string = DEFAULT_KV): contract.KeyValue {
    checkName(name, "collection");
    return new KeyValue(this.#session, name);
  }
}
