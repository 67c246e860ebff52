/**
 * Values as text that a person can edit: JSON, and beyond it what JSON has no words for: `NaN`, `Infinity`, `-0`,
 * `12n`, `Date("2026-01-31T12:00:00.000Z")`, `Bytes("00ff")`. `parse` reads the text of `format` back exactly.
 */

const WIDTH = 88;
/** Deeper than anything that can be stored, and shallow enough for recursion. */
const DEPTH = 200;

/** On one line what fits on one, the rest broken and indented. */
export function format(value, indent = "") {
  const flat = formatFlat(value);
  if (flat.length + indent.length <= WIDTH || !isContainer(value)) return flat;
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    return `[\n${value.map((item) => inner + format(item, inner)).join(",\n")}\n${indent}]`;
  }
  const lines = Object.entries(value).map(([name, item]) => `${inner}${JSON.stringify(name)}: ${format(item, inner)}`);
  return `{\n${lines.join(",\n")}\n${indent}}`;
}

export function formatFlat(value) {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (value instanceof Date) return `Date("${value.toISOString()}")`;
  if (value instanceof Uint8Array) return `Bytes("${toHex(value)}")`;
  if (Array.isArray(value)) return `[${value.map(formatFlat).join(", ")}]`;
  if (!isContainer(value)) return JSON.stringify(value);
  const fields = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${formatFlat(item)}`);
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
}

function isContainer(value) {
  return typeof value === "object" && value !== null && !(value instanceof Date) && !(value instanceof Uint8Array);
}

/** Neither a list nor any other value: something with fields. */
export function isObject(value) {
  return isContainer(value) && !Array.isArray(value);
}

function toHex(bytes) {
  let hex = "";
  for (const byte of bytes) hex += byte.toString(16).padStart(2, "0");
  return hex;
}

/** Says where in the text the mistake is. */
export class TextError extends Error {
  constructor(problem, text, at) {
    const before = text.slice(0, at).split("\n");
    super(`${problem}. line=${before.length}, column=${before.at(-1).length + 1}`);
  }
}

export function parse(text) {
  const parser = new Parser(text);
  const value = parser.value(0);
  parser.end();
  return value;
}

const WORDS = new Map([
  ["null", null],
  ["true", true],
  ["false", false],
  ["NaN", NaN],
  ["Infinity", Infinity],
  ["-Infinity", -Infinity],
]);
const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:n(?!\w)|(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const WORD = /-?[A-Za-z]\w*/y;
/** A date as toISOString writes it. Dates in other forms mean something else on every machine. */
const INSTANT = /^(?:\d{4}|[+-]\d{6})-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?Z$/;
const STRING = /"(?:[^"\\]|\\[^])*"/y;

class Parser {
  #text;
  #at = 0;

  constructor(text) {
    this.#text = text;
  }

  value(depth) {
    if (depth > DEPTH) this.#fail("this is nested too deeply");
    this.#take(SPACE);
    const next = this.#text[this.#at];
    if (next === "{") return this.#object(depth);
    if (next === "[") return this.#array(depth);
    if (next === '"') return this.#string();
    const number = this.#take(NUMBER);
    if (number) return number.endsWith("n") ? BigInt(number.slice(0, -1)) : Number(number);
    const start = this.#at;
    const word = this.#take(WORD);
    if (WORDS.has(word)) return WORDS.get(word);
    if (word === "Date") return this.#date();
    if (word === "Bytes") return this.#bytes();
    this.#at = start;
    return this.#fail(next === undefined ? "a value is missing at the end" : "no value starts like this");
  }

  end() {
    this.#take(SPACE);
    if (this.#at < this.#text.length) this.#fail("the value ends before this");
  }

  #array(depth) {
    const items = [];
    this.#list("[", "]", () => items.push(this.value(depth + 1)));
    return items;
  }

  #object(depth) {
    const fields = new Map();
    this.#list("{", "}", () => {
      this.#take(SPACE);
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail("a field's name in double quotes is missing");
      const name = this.#string();
      if (fields.has(name)) {
        this.#at = start;
        this.#fail("this field is there twice");
      }
      this.#expect(":");
      fields.set(name, this.value(depth + 1));
    });
    // Unlike an assignment, this makes a field called __proto__ a field like any other.
    return Object.fromEntries(fields);
  }

  #list(opening, closing, item) {
    this.#expect(opening);
    this.#take(SPACE);
    if (this.#text[this.#at] !== closing) {
      item();
      for (this.#take(SPACE); this.#text[this.#at] === ","; this.#take(SPACE)) {
        this.#at++;
        item();
      }
    }
    this.#expect(closing);
  }

  #string() {
    const start = this.#at;
    const quoted = this.#take(STRING);
    try {
      return JSON.parse(quoted);
    } catch {
      this.#at = start;
      return this.#fail("this text in double quotes is not closed, or has a character that must be escaped");
    }
  }

  #date() {
    const text = this.#argument();
    const date = new Date(INSTANT.test(text) ? text : NaN);
    if (Number.isNaN(date.getTime())) this.#fail("a date is written like 2026-01-31T12:00:00.000Z");
    return date;
  }

  #bytes() {
    const hex = this.#argument();
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(hex)) this.#fail("bytes are written as pairs of the digits 0 to 9 and a to f");
    return Uint8Array.from({ length: hex.length / 2 }, (_, index) => parseInt(hex.slice(index * 2, index * 2 + 2), 16));
  }

  #argument() {
    this.#expect("(");
    this.#take(SPACE);
    const text = this.#string();
    this.#expect(")");
    return text;
  }

  #expect(character) {
    this.#take(SPACE);
    if (this.#text[this.#at] !== character) this.#fail(`${JSON.stringify(character)} is missing`);
    this.#at++;
  }

  #take(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #fail(problem) {
    throw new TextError(problem, this.#text, this.#at);
  }
}
