/** Finds where a value refers back to one that contains it. Only asked once a value has proved too deep. */
import { type Step, pathText } from "./path.js";

/** Objects looked at before giving up; a value this large fails by its size or depth anyway. */
const MAX_VISITS = 100_000;

interface Frame {
  object: object;
  steps: Step[];
  next: number;
}

function open(object: object): Frame {
  if (ArrayBuffer.isView(object)) return { object, steps: [], next: 0 };
  return { object, steps: Array.isArray(object) ? [...object.keys()] : Object.keys(object), next: 0 };
}

/** The path of the first reference to an ancestor, or undefined. A loop, since the value may be of any depth. */
export function findCycle(root: object): string | undefined {
  const finished = new Set<object>();
  const ancestors = new Set<object>([root]);
  const stack = [open(root)];
  const path: Step[] = [];
  for (let visits = 0; stack.length > 0 && visits < MAX_VISITS; visits++) {
    const frame = stack[stack.length - 1]!;
    if (frame.next === frame.steps.length) {
      finished.add(frame.object);
      ancestors.delete(frame.object);
      stack.pop();
      path.pop();
      continue;
    }
    const step = frame.steps[frame.next++]!;
    const child: unknown = (frame.object as Record<Step, unknown>)[step];
    if (typeof child !== "object" || child === null || finished.has(child)) continue;
    path.push(step);
    if (ancestors.has(child)) return pathText(path);
    ancestors.add(child);
    stack.push(open(child));
  }
  return undefined;
}
