// From nothing to a document: how long after the page was asked for it has its first read.

export async function readAtOnce(open) {
  const [name, id] = decodeURIComponent(location.hash.slice(1)).split(" ");
  const opening = performance.now();
  const store = await open(name, "relaxed");
  const found = await store.get(id);
  const now = performance.now();
  if (found?.id !== id) throw new Error(`the first read found nothing. id=${id}`);
  globalThis.answer = { sinceNavigation: now, sinceOpen: now - opening };
  document.title = "ready";
}
