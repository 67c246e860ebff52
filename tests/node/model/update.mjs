// $set, $unset and $inc as the model understands them.
import { fail } from "./state.mjs";

export function applyUpdate(document, operators) {
  const steps = checked(operators);
  if (document === undefined) return undefined;
  const result = structuredClone(document);
  for (const { operator, path, operand } of steps) applyOne(result, path.split("."), operator, operand, path);
  return result;
}

/** Refuses what is wrong with an update whatever it is applied to. */
function checked(operators) {
  const steps = [];
  for (const [operator, fields] of Object.entries(operators)) {
    if (!["$set", "$unset", "$inc"].includes(operator)) {
      fail("INVALID_UPDATE", "an operator is unknown", { path: operator });
    }
    for (const [path, operand] of Object.entries(fields)) {
      const crossing = steps.some(
        (step) => `${step.path}.`.startsWith(`${path}.`) || `${path}.`.startsWith(`${step.path}.`),
      );
      if (crossing) fail("INVALID_UPDATE", "a place is changed twice", { path });
      steps.push({ operator, path, operand });
    }
  }
  return steps;
}

function applyOne(document, names, operator, operand, path) {
  let target = document;
  for (const [depth, name] of names.entries()) {
    if (typeof target !== "object" || target === null) {
      if (operator === "$unset") return;
      fail("INVALID_UPDATE", "a scalar has no fields", { path });
    }
    if (Array.isArray(target) && !/^(0|[1-9]\d*)$/.test(name))
      fail("INVALID_UPDATE", "an array has no fields", { path });
    if (depth === names.length - 1) return change(target, name, operator, operand);
    if (!Object.hasOwn(target, name)) {
      if (operator === "$unset") return;
      fill(target, name);
      target[name] = {};
    }
    target = target[name];
  }
}

function change(target, name, operator, operand) {
  if (operator !== "$unset") {
    fill(target, name);
    target[name] = operator === "$set" ? operand : add(Object.hasOwn(target, name) ? target[name] : undefined, operand);
  } else if (!Array.isArray(target)) {
    delete target[name];
  } else if (Object.hasOwn(target, name)) {
    target[name] = null;
  }
}

/** An array has no holes: places before a new one are null. */
function fill(target, name) {
  while (Array.isArray(target) && target.length < Number(name)) target.push(null);
}

function add(current, by) {
  if (current === undefined) return by;
  if (typeof current === "bigint" && typeof by === "bigint") return current + by;
  if (typeof current === "number" && typeof by === "number") return current + by;
  return fail("NOT_A_NUMBER", "what is added is no number of the same kind");
}
