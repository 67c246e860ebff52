// A core for tests of the TypeScript alone: stores in memory, where a clone is a copy of everything. It stands for the
// meaning of the ops and for nothing else: it has no storage, no history floor, no limits but those that tests ask for.
import { decode, encode } from "../../codec/source.mjs";
import { State, checkName, compareKeys, fail, keyText } from "./state.mjs";
import { isMap, runOp } from "./ops.mjs";
import { FrameReader, exportOf, imported } from "./transfer.mjs";

const memory = new WebAssembly.Memory({ initial: 1 });
const stores = new Map();
let result = [0, 0];

class Store {
  constructor(name, options) {
    this.name = name;
    this.now = options.now ?? Date.now;
    this.lsn = 0;
    this.open = 0;
    this.databases = new Map();
    this.create("main", undefined, new State());
  }

  create(name, origin, state, asOf) {
    const version = this.next();
    const database = {
      name,
      origin,
      asOf,
      state,
      base: state,
      createdAt: this.now(),
      createdVersion: version,
      history: [],
      scopes: new Set(),
      dropped: false,
    };
    database.history.push({ version, time: this.now(), state, touched: new Set() });
    this.databases.set(name, database);
    return database;
  }

  next() {
    return String(++this.lsn).padStart(12, "0");
  }

  find(name) {
    return this.databases.get(name) ?? fail("DATABASE_NOT_FOUND", `there is no such database. name=${name}`);
  }

  dependents(database) {
    return [...this.databases.values()].filter((other) => other.origin === database).map((other) => other.name);
  }
}

class Scope {
  constructor(store, database, mode, state, predates = false) {
    Object.assign(this, {
      store,
      database,
      mode,
      own: state,
      predates,
      callbacks: [],
      ended: false,
      reads: new Set(),
      written: new Map(),
    });
    this.at_version = database.history.at(-1).version;
    if (mode === "live") database.scopes.add(this);
  }

  state() {
    if (this.ended) fail("CLOSED", "the scope is closed");
    return this.mode === "live" ? this.database.state : this.own;
  }

  version() {
    return this.mode === "live" ? this.database.history.at(-1).version : this.at_version;
  }

  name() {
    return this.database.name;
  }

  get(collection, id) {
    const document = this.state().get("documents", collection, id);
    this.reads.add(collection);
    // Each second document takes the long way, as one that is not in memory would.
    if (document === undefined || id.length % 2 === 0) return document === undefined ? 0 : -1;
    const bytes = encode(document);
    if (bytes.length > memory.buffer.byteLength) memory.grow(Math.ceil(bytes.length / 65536));
    new Uint8Array(memory.buffer).set(bytes);
    result = [0, bytes.length];
    return 1;
  }

  run(op) {
    const state = this.state();
    // Some ops need storage, as they would when a block is not in memory.
    if (this.mode !== "live" && op.length % 3 === 0) return undefined;
    const { collection, touched, answer, next } = runOp(op, state);
    this.reads.add(collection);
    if (next === undefined) return isWrite(op) && this.mode === "live" ? undefined : answer;
    if (this.mode === "snapshot") fail("INVALID_OPTION", "a snapshot can't be written");
    if (this.mode === "live") return undefined;
    this.own = next;
    this.touch(collection, touched);
    return answer;
  }

  touch(collection, keys) {
    for (const key of keys) this.written.set(`${collection}/${keyText(key)}`, collection);
  }

  async run_async(bytes) {
    const op = bytes.slice();
    await undefined;
    if (this.mode === "snapshot" && isWrite(op)) fail("INVALID_OPTION", "a snapshot can't be written");
    const { collection, touched, answer, next } = runOp(op, this.state());
    this.reads.add(collection);
    if (next === undefined) return answer;
    const keys = touched.map((key) => `${collection}/${keyText(key)}`);
    if (this.mode === "live") this.commit(next, new Set(keys));
    else ((this.own = next), this.touch(collection, touched));
    return answer;
  }

  commit(state, touched) {
    const version = this.store.next();
    this.database.state = state;
    this.database.history.push({ version, time: this.store.now(), state, touched });
    return version;
  }

  snapshot() {
    return new Scope(this.store, this.database, "snapshot", this.state());
  }

  async at(when) {
    this.state();
    const points = this.database.history.filter(({ version, time }) =>
      typeof when === "string" ? version <= when : time <= when,
    );
    const scope = new Scope(
      this.store,
      this.database,
      "snapshot",
      points.at(-1)?.state ?? new State(),
      points.length === 0,
    );
    scope.at_version = points.at(-1)?.version ?? when;
    return scope;
  }

  predates_clone() {
    return this.predates;
  }

  async transaction(body, { isolation = "serializable", retries = 8, onCommit }) {
    for (let run = 0; ; run++) {
      const tx = new Scope(this.store, this.database, "transaction", this.state());
      const seen = this.database.history.length;
      const result = await body(tx).finally(() => (tx.ended = true));
      this.state();
      const others = this.database.history.slice(seen).flatMap(({ touched }) => [...touched]);
      const clash = others.some(
        (key) => tx.written.has(key) || (isolation === "serializable" && tx.reads.has(key.split("/")[0])),
      );
      if (this.database.dropped) fail("CONFLICT", "the database was dropped");
      if (!clash) {
        if (tx.written.size === 0) return result;
        const merged = this.database.state.copy();
        for (const [key, collection] of tx.written) moveRow(tx.own, merged, collection, key);
        const version = this.commit(merged, new Set(tx.written.keys()));
        onCommit?.(version);
        return result;
      }
      if (run === retries) fail("CONFLICT", "the transaction met others too often");
    }
  }

  async create_clone(given, { at, existing = "fail", ttl, background }) {
    const name = given ?? `temporary-${this.store.lsn}`;
    checkName(name);
    const there = this.store.databases.get(name);
    if (there !== undefined && existing === "open") {
      if (there.origin === this.database || there.copiedFrom === this.database) return name;
      fail("DATABASE_EXISTS", `it is no clone of this one. name=${name}`);
    }
    if (there !== undefined) fail("DATABASE_EXISTS", `a name is taken. name=${name}`);
    let depth = 0;
    for (let link = this.database; link.origin !== undefined; link = link.origin) depth++;
    if (depth >= 8) fail("CLONE_DEPTH_EXCEEDED", "a clone is too deep", { materialize: this.database.name });
    const point = at === undefined ? this : await this.at(at);
    const made = this.store.create(name, this.database, point.state(), point.version());
    made.temporary = given === undefined;
    if (Number.isFinite(ttl)) made.expiresAt = made.createdAt + ttl;
    if (background) setTimeout(() => new Scope(this.store, made, "snapshot", made.state).materialize(() => true), 5);
    return name;
  }

  async lineage() {
    const entries = [];
    for (let link = this.database; link !== undefined; link = link.origin) {
      const { name, asOf, createdAt, createdVersion } = link;
      entries.push({ name, asOf, createdAt, createdVersion, status: statusOf(link) });
    }
    return entries;
  }

  async status() {
    return statusOf(this.database);
  }

  async collections() {
    const all = [...this.state().collections].map(([name, { kind }]) => ({ name, kind }));
    return all.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async drop_database() {
    const { store, database } = this;
    if (database.origin === undefined) fail("NOT_A_CLONE", "the root can't be dropped");
    const dependents = store.dependents(database);
    if (dependents.length > 0) fail("CLONE_DEPENDENCY", "the database has clones", { dependents });
    store.databases.delete(database.name);
    database.dropped = true;
    for (const scope of database.scopes)
      scope.callbacks.forEach((tell) => tell({ code: "CLOSED", message: "dropped", details: {}, retryable: false }));
  }

  async materialize(watch) {
    if (this.database.origin !== undefined) {
      if (watch({ rowsDone: 0, bytesDone: 0 }) === false) fail("ABORTED", "the materialization was aborted");
      this.database.copiedFrom = this.database.origin;
      this.database.origin = undefined;
      this.database.materialized = true;
    }
    return statusOf(this.database);
  }

  async drop_by_force(watch) {
    const { store, database } = this;
    if (database.name === "main") fail("NOT_A_CLONE", "the root can't be dropped");
    for (const other of store.databases.values()) {
      if (other.origin === database) await new Scope(store, other, "snapshot", other.state).materialize(watch);
    }
    return this.drop_database();
  }

  async leave() {
    const { database } = this;
    await this.close();
    if (database.temporary && database.scopes.size === 0) await this.drop_database().catch(() => undefined);
  }

  async diff_origin_page(collection, after, limit) {
    if (this.database.origin === undefined) fail("NOT_A_CLONE", "a root has no origin");
    return this.diff(this.database.base, collection, after, limit);
  }

  async diff_page(against, collection, after, limit) {
    return this.diff(against.state(), collection, after, limit);
  }

  diff(before, collection, after, limit) {
    const changes = difference(before, this.state(), collection);
    const from = after === undefined ? 0 : decode(after);
    const size = Math.min(limit, 100);
    const next = from + size < changes.length ? encode(from + size) : null;
    return encode([next, changes.slice(from, from + size)]);
  }

  export_rows(salvage) {
    const { name } = this.database;
    const pieces = exportOf(this.state(), { name, version: this.version(), time: this.store.now(), salvage });
    let rows = 0;
    const next = async () => {
      this.state();
      const { value } = pieces.next();
      rows = value?.rows ?? rows;
      return value?.bytes;
    };
    return { next, rows: () => rows, skipped: () => (salvage ? 0 : undefined) };
  }

  async import_rows(pull, replace) {
    this.state();
    const reader = new FrameReader();
    for (let piece; (piece = await pull(reader.rows)) !== undefined; ) reader.push(piece);
    reader.finish();
    const { next, touched } = imported(this.state(), reader, replace);
    this.commit(next, touched);
    return reader.end;
  }

  on_close(callback) {
    this.callbacks.push(callback);
  }

  async close() {
    this.ended = true;
    this.database.scopes.delete(this);
  }
}

const isWrite = (op) =>
  /^(insert|put|update|delete|kvSet|kvDelete|kvSetField)$/.test(decode(op.slice(1, 1 + 1 + (op[1] & 0x1f))));
const statusOf = ({ origin, materialized }) => ({
  state: origin !== undefined ? "shadowed" : materialized ? "materialized" : "root",
});

function moveRow(from, to, collection, key) {
  const source = from.collections.get(collection);
  const rows = to.collections.get(collection)?.rows ?? new Map();
  const text = key.slice(collection.length + 1);
  const row = source.rows.get(text);
  if (row === undefined) rows.delete(text);
  else rows.set(text, row);
  to.collections.set(collection, { kind: source.kind, rows });
}

function difference(before, after, only) {
  const changes = [];
  const names = [...new Set([...before.collections.keys(), ...after.collections.keys()])].sort();
  for (const name of names.filter((each) => only === undefined || each === only)) {
    const [left, right] = [before.collections.get(name), after.collections.get(name)];
    const { kind } = left ?? right;
    const keys = new Map([...(left?.rows ?? []), ...(right?.rows ?? [])].map(([text, { key }]) => [text, key]));
    for (const [text, key] of [...keys].sort(([, one], [, other]) => compareKeys(one, other))) {
      const [old, fresh] = [left?.rows.get(text), right?.rows.get(text)];
      if (old !== undefined && fresh !== undefined && Buffer.compare(old.bytes, fresh.bytes) === 0) continue;
      const [was, is] = [old && decode(old.bytes), fresh && decode(fresh.bytes)];
      const op = old === undefined ? "insert" : fresh === undefined ? "delete" : "update";
      changes.push([kind, name, key, op, was ?? null, is ?? null, op === "update" ? changedFields(was, is) : null]);
    }
  }
  return changes;
}

function changedFields(was, is) {
  if (!isMap(was) || !isMap(is)) return [];
  const text = (map, name) => (Object.hasOwn(map, name) ? keyText([Buffer.from(encode(map[name]))]) : "");
  return [...new Set([...Object.keys(was), ...Object.keys(is)])]
    .filter((name) => text(was, name) !== text(is, name))
    .sort();
}

class OpenStore {
  constructor(store) {
    this.store = store;
    store.open++;
  }
  storage_mode() {
    return "memory";
  }
  async database(name) {
    return new Scope(this.store, this.store.find(name), "live");
  }
  async databases(sizes) {
    return [...this.store.databases.values()].map((database) => ({
      name: database.name,
      origin: database.origin?.name,
      asOf: database.asOf,
      createdAt: database.createdAt,
      expiresAt: database.expiresAt,
      status: statusOf(database),
      dependents: this.store.dependents(database),
      ...(sizes ? { ownBytes: 0 } : {}),
    }));
  }
  async stats() {
    const figures = [
      "rows",
      "blocks",
      "blockBytes",
      "liveBytes",
      "reclaimableBytes",
      "logEntries",
      "logBytes",
      "cacheHits",
      "cacheMisses",
      "cachedBytes",
    ];
    return Object.fromEntries(figures.map((name) => [name, 0]));
  }
  async compact() {}
  async close() {
    stores.delete(this.store.name);
  }
}

export const core = {
  version: () => "model",
  result_ptr: () => result[0],
  result_len: () => result[1],
  last_panic: () => undefined,
  Store: {
    async open(name, options) {
      checkName(name);
      if (!stores.has(name)) stores.set(name, new Store(name, options));
      return new OpenStore(stores.get(name));
    },
    async destroy(name) {
      stores.delete(name);
    },
  },
};
export { memory };
