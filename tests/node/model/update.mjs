// $set, $unset and $inc as the model understands them.
import { fail } from "./state.mjs";

export function applyUpdate(document, operators) {
  const result = structuredClone(document);
  const seen = new Set();
  for (const [operator, fields] of Object.entries(operators)) {
    if (!["$set", "$unset", "$inc"].includes(operator))
      fail("INVALID_UPDATE", "an operator is unknown", { path: operator });
    for (const [path, operand] of Object.entries(fields)) {
      if (seen.has(path)) fail("INVALID_UPDATE", "a path is changed twice", { path });
      seen.add(path);
      applyOne(result, path.split("."), operator, operand);
    }
  }
  return result;
}

function applyOne(target, steps, operator, operand) {
  const last = steps.pop();
  for (const step of steps) {
    if (!Object.hasOwn(target, step)) {
      if (operator === "$unset") return;
      target[step] = {};
    }
    target = target[step];
  }
  if (operator === "$set") target[last] = operand;
  else if (operator === "$unset") delete target[last];
  else target[last] = add(Object.hasOwn(target, last) ? target[last] : 0, operand);
}

function add(current, by) {
  if (typeof current === "bigint" && typeof by === "bigint") return current + by;
  if (typeof current === "number" && typeof by === "number") return current + by;
  return fail("NOT_A_NUMBER", "what is added is no number of the same kind");
}
