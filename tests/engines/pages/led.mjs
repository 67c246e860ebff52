// A tab that no driver leads: one whose address has `?led=NAME` asks its server for tasks. The server sends each task
// as a module, which the strict policy lets in.
const name = new URLSearchParams(location.search).get("led");

async function carryOut(number) {
  const outcome = {};
  try {
    const { default: work } = await import(`/lead/run/${number}.mjs`);
    outcome.value = await work();
  } catch (error) {
    outcome.error = error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : String(error);
  }
  await fetch(`/lead/done/${number}`, { method: "POST", body: JSON.stringify(outcome) });
}

async function obey() {
  for (let asked = "loaded"; ; asked = "next") {
    const { number, end } = await (await fetch(`/lead/${asked}/${name}`)).json();
    if (end) return;
    void carryOut(number);
  }
}

if (name !== null) void obey();
