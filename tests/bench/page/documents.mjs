// The documents that all contenders store: the same in every run, about 200 bytes each as JSON.

const subjects = ["plants", "invoice", "bicycle", "library card", "kitchen shelf", "passport", "garden gate"];
const verbs = ["water", "pay", "repair", "return", "paint", "renew", "measure", "order"];
const people = ["Ada", "Grace", "Barbara", "Frances", "Radia", "Katherine", "Mary"];
const notes = ["before the weekend", "ask the neighbour first", "not urgent", "with the small key", "see last year"];
const tags = ["home", "office", "errand", "phone", "waiting"];

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const hex = (number, digits) => Math.floor(number).toString(16).padStart(digits, "0");

/** An id of the shape of a UUIDv7: rising by its number, and random behind. */
function makeId(number, random) {
  const time = hex(0x0190_0000_0000 + number * 7, 12);
  const part = (first) => first + hex(random() * 0x1000, 3);
  return `${time.slice(0, 8)}-${time.slice(8)}-${part("7")}-${part("8")}-${hex(random() * 2 ** 48, 12)}`;
}

/** The document of a number; the ids rise with the numbers. */
export function makeDocument(number) {
  const random = randomNumbers(number + 1);
  const one = (list) => list[Math.floor(random() * list.length)];
  return {
    id: makeId(number, random),
    title: `${one(verbs)} the ${one(subjects)}`,
    done: random() < 0.5,
    priority: Math.floor(random() * 10),
    created: 1_700_000_000_000 + number * 1000,
    effort: Math.round(random() * 1000) / 8,
    person: one(people),
    tags: [one(tags), one(tags)],
    note: one(notes),
  };
}

/** `count` documents, in the order of their ids, the first of them with the number `from`. */
export function makeDocuments(count, from = 0) {
  return Array.from({ length: count }, (_, index) => makeDocument(from + index));
}

/** `count` of the documents, drawn at random, each at most once. */
export function draw(documents, count, seed) {
  const random = randomNumbers(seed);
  const drawn = new Set();
  while (drawn.size < Math.min(count, documents.length)) {
    drawn.add(documents[Math.floor(random() * documents.length)]);
  }
  return [...drawn];
}

/** Fails unless `rows` are exactly `documents`, in this order. */
export function verify(who, rows, documents) {
  if (rows.length !== documents.length) {
    throw new Error(`${who} gave ${rows.length} documents, and ${documents.length} were stored`);
  }
  documents.forEach((document, index) => {
    const [found, stored] = [JSON.stringify(rows[index]), JSON.stringify(document)];
    if (found !== stored) throw new Error(`${who} gave another document than was stored: ${found}, not ${stored}`);
  });
}
