/** Finding moments of a database's past. A look at one is cheap, so they are found by halving the time between two. */

const MOST_LOOKS = 2000;

/** The earliest time at which the database can be seen, and that it is not earlier because history was given back. */
export async function oldestMoment(database, createdAt) {
  const isHeld = async (time) => {
    try {
      await lookAt(database, time);
      return true;
    } catch (error) {
      if (error?.code === "HISTORY_PRUNED") return false;
      throw error;
    }
  };
  const born = createdAt.getTime();
  if (await isHeld(born)) return { time: born, isPruned: false };
  return { time: await firstTime(born, Date.now(), isHeld), isPruned: true };
}

/** The latest time before `from` at which something in the database was different, or nothing. */
export async function changeBefore(database, from, oldest) {
  const version = await lookAt(database, from);
  for (let looks = 0, time = from; looks < MOST_LOOKS; looks++) {
    const here = await lookAt(database, time);
    if ((await lookAt(database, oldest)) === here) return undefined;
    const isHere = async (other) => (await lookAt(database, other)) >= here;
    time = (await firstTime(oldest, time, isHere)) - 1;
    // The versions count the commits of the whole store: this one may have been of another database.
    if (await isDifferent(database, await lookAt(database, time), version)) return time;
  }
  return undefined;
}

/** The earliest time after `from` at which something in the database was different, or nothing. */
export async function changeAfter(database, from) {
  const version = await lookAt(database, from);
  for (let looks = 0, time = from; looks < MOST_LOOKS; looks++) {
    const here = await lookAt(database, time);
    const now = Date.now();
    if ((await lookAt(database, now)) === here) return undefined;
    time = await firstTime(time, now, async (other) => (await lookAt(database, other)) > here);
    if (await isDifferent(database, version, await lookAt(database, time))) return time;
  }
  return undefined;
}

async function lookAt(database, time) {
  const snapshot = await database.at(new Date(time));
  const { version } = snapshot;
  await snapshot.close();
  return version;
}

async function isDifferent(database, before, after) {
  for await (const change of database.diff({ against: before, at: after })) return change !== undefined;
  return false;
}

/** The first millisecond of which something holds that does not hold at `low`, and does from some time on. */
async function firstTime(low, high, holds) {
  let [without, from] = [low, high];
  while (from - without > 1) {
    const middle = Math.floor((without + from) / 2);
    if (await holds(middle)) from = middle;
    else without = middle;
  }
  return from;
}
