// The programs in the README, run as they stand there.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const root = new URL("../../", import.meta.url);

test("the README's code runs, and gives what the README says", async () => {
  const readme = await readFile(new URL("README.md", root), "utf8");
  const blocks = [...readme.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code);
  assert.equal(blocks.length, 5);
  const dist = new URL("pkg/dist/node.js", root).href;
  const program = blocks.join("\n").replaceAll('from "offshoot"', `from ${JSON.stringify(dist)}`);
  const folder = await mkdtemp(join(tmpdir(), "offshoot-readme-"));
  const { fetch } = globalThis;
  globalThis.fetch = async (address) => {
    assert.equal(address, "/price");
    return new Response("12");
  };
  try {
    const file = join(folder, "readme.mjs");
    await writeFile(file, `${program}\nexport { copy, db, draft, id, merged, sure, todos };\n`);
    const { copy, db, draft, id, merged, sure, todos } = await import(pathToFileURL(file).href);
    const whole = { id, title: "water the plants", done: true, price: 12 };
    assert.deepEqual(await todos.get(id), whole);
    assert.deepEqual([merged.outcome, merged.conflicts.length], ["merged", 1]);
    assert.deepEqual(await draft.collection("todos").get(id), whole);
    const [change] = await draft.diff().toArray();
    assert.deepEqual([change.op, change.after.title], ["insert", "buy seeds"]);
    const undone = await db.database("undone");
    assert.deepEqual(await undone.collection("todos").get(id), { ...whole, done: false });
    assert.deepEqual(await copy.collection("todos").find().toArray(), [whole]);
    assert.equal(sure.name, "main");
    for (const handle of [sure, undone, copy, draft, db]) await handle.close();
  } finally {
    globalThis.fetch = fetch;
    await rm(folder, { recursive: true });
  }
});
