/** Databases, transactions and snapshots all give collections by name; this is the code that they share. */
import type * as contract from "../../types/offshoot.js";
import { checkName } from "./check.js";
import { Collection } from "./collection.js";
import { KeyValue } from "./keyvalue.js";
import type { Session } from "./session.js";

type Calls = new (session: Session, name: string) => object;

/** A read that nobody hears of loses nothing; all other calls are taken for writes. */
const READS = new Set(["get", "getMany", "getField", "has", "find", "list", "count"]);

/** The same class, whose writes its session answers for. */
function owned<C extends Calls>(Base: C): C {
  class Owned extends (Base as Calls) {
    readonly #session: Session;

    constructor(session: Session, name: string) {
      super(session, name);
      this.#session = session;
    }

    static {
      for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Base.prototype))) {
        if (name === "constructor" || READS.has(name) || typeof value !== "function") continue;
        const call = function (this: Owned, ...given: unknown[]): unknown {
          const answer: unknown = Reflect.apply(value, this, given);
          return answer instanceof Promise ? this.#session.own(answer) : answer;
        };
        Object.defineProperty(this.prototype, name, { value: call, writable: true, configurable: true });
      }
    }
  }
  return Owned as unknown as C;
}

const OwnedCollection = owned(Collection);
const OwnedKeyValue = owned(KeyValue);

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
    const Made = this.#session.mode === "transaction" ? OwnedCollection : Collection;
    return new Made<S[N]>(this.#session, name);
  }

  kv(): contract.KeyValue<contract.KvOf<S, "kv">>;
  kv<N extends contract.KvNames<S>>(name: N): contract.KeyValue<contract.KvOf<S, N>>;
  kv(name: string = DEFAULT_KV): contract.KeyValue {
    checkName(name, "collection");
    const Made = this.#session.mode === "transaction" ? OwnedKeyValue : KeyValue;
    return new Made(this.#session, name);
  }
}
