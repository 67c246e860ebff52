/** Changes of a document as the core takes them: operators with maps of path to value. */
import type { Writer } from "../codec/index.js";
import { describeKind, isPlainObject, lookingThrows } from "../codec/kinds.js";
import { OffshootError } from "../errors.js";

/** Field to value by operator. A Map, since a field may be called `__proto__`. */
type Operands = Map<string, Map<string, unknown>>;

export function writeUpdate(writer: Writer, change: unknown): void {
  if (!isPlainObject(change)) {
    throw invalid("", `a change must be a plain object, not ${describeKind(change)}`, lookingThrows(change));
  }
  const names = Object.keys(change);
  const operators = names.filter((name) => name.startsWith("$"));
  if (operators.length === 0) {
    write(writer, split(new Map(), "", change), true);
  } else if (operators.length === names.length) {
    write(writer, collect(change), false);
  } else {
    throw invalid(
      names.find((name) => !name.startsWith("$"))!,
      "a change has operators or fields, not both",
    );
  }
}

function collect(change: Record<string, unknown>): Operands {
  const operands: Operands = new Map();
  for (const [operator, operand] of Object.entries(change)) {
    if (operand === undefined) continue;
    if (!isPlainObject(operand)) {
      const message = `an operator takes a plain object, not ${describeKind(operand)}`;
      throw invalid(operator, message, lookingThrows(operand));
    }
    if (operator === "$set") split(operands, operator, operand);
    else for (const [path, value] of Object.entries(operand)) add(operands, operator, path, value);
    // Pass on an operator without fields too: the core refuses unknown operators by their names.
    if (!operands.has(operator)) operands.set(operator, new Map());
  }
  return operands;
}

/** A field that is set to undefined is one to remove. */
function split(operands: Operands, prefix: string, fields: Record<string, unknown>): Operands {
  for (const [path, value] of Object.entries(fields)) {
    if (value !== undefined) add(operands, "$set", path, value, prefix);
    else add(operands, "$unset", path, true, prefix);
  }
  return operands;
}

function add(operands: Operands, operator: string, path: string, value: unknown, prefix = operator): void {
  if (value === undefined) return;
  if (path === "id" || path.startsWith("id.")) {
    throw invalid(prefix === "" ? path : `${prefix}.${path}`, "a document's id can't be changed");
  }
  const fields = operands.get(operator) ?? new Map<string, unknown>();
  operands.set(operator, fields.set(path, value));
}

/** `plain`: the caller named no operator, so the paths of errors have none either. */
function write(writer: Writer, operands: Operands, plain: boolean): void {
  writer.mapHeader(operands.size);
  for (const [operator, fields] of operands) {
    writer.string(operator);
    if (!plain) writer.enter(operator);
    writer.mapHeader(fields.size);
    for (const [path, value] of fields) {
      writer.enter(path);
      writer.string(path);
      writer.value(value);
      writer.leave();
    }
    if (!plain) writer.leave();
  }
}

function invalid(path: string, message: string, options?: { cause?: unknown }): OffshootError<"INVALID_UPDATE"> {
  return new OffshootError("INVALID_UPDATE", `${message}. path="${path}"`, { path }, options);
}
