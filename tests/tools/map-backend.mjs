// A backend of the user's own, as offshoot.d.ts describes it, on Maps: the shortest that keeps the contract.

/** Several backends on one disk are several processes that have it open. */
export function makeDisk() {
  return { records: new Map(), log: [], last: 0, locks: new Set() };
}

const isIn = (name, { from = "", before }) => name >= from && (before === undefined || name < before);

/** `pause` is awaited before each call takes effect, `told` hears the name of each call; without locks if told so. */
export function backendOn(disk, { pause = async () => undefined, told = () => undefined, hasLocks = true } = {}) {
  const at = (space, name) => `${space} ${name}`;
  const held = new Set();
  let isClosed = false;
  const begin = async (call) => {
    if (isClosed) throw new Error("it is closed");
    told(call);
    await pause();
  };
  const named = (space, range) => {
    const keys = [...disk.records.keys()].filter((key) => key.startsWith(`${space} `));
    return keys.map((key) => key.slice(space.length + 1)).filter((name) => isIn(name, range)).sort();
  };
  const lock = async (name) => {
    await begin("lock");
    if (disk.locks.has(name)) return undefined;
    disk.locks.add(name);
    held.add(name);
    return () => held.delete(name) && disk.locks.delete(name);
  };
  return {
    contract: 2,
    recordBytes: 60_000,
    async read(space, names) {
      await begin("read");
      return names.map((name) => disk.records.get(at(space, name)));
    },
    async list(space, { limit, ...range }) {
      await begin("list");
      return named(space, range).slice(0, limit).map((name) => [name, disk.records.get(at(space, name))]);
    },
    async names(space, { limit, ...range }) {
      await begin("names");
      return named(space, range).slice(0, limit);
    },
    async log(after, limit) {
      await begin("log");
      return disk.log.filter(([number]) => number > after).slice(0, limit);
    },
    async write(batch) {
      await begin("write");
      const isThere = ([space, name]) => disk.records.has(at(space, name));
      const goesOn = batch.last !== undefined && disk.log.some(([number]) => number > batch.last);
      if (goesOn || batch.absent.some(isThere) || !batch.present.every(isThere)) return false;
      for (const [space, name] of batch.delete) disk.records.delete(at(space, name));
      for (const [space, from, before] of batch.deleteRange) {
        for (const name of named(space, { from, before })) disk.records.delete(at(space, name));
      }
      for (const [space, name, bytes] of batch.put) disk.records.set(at(space, name), bytes);
      disk.log = disk.log.filter(([number]) => number > (batch.trim ?? 0));
      for (const bytes of batch.append) disk.log.push([++disk.last, bytes]);
      return batch.append.length > 0 ? disk.last : 0;
    },
    ...(hasLocks && { lock }),
    async close() {
      isClosed = true;
    },
  };
}
