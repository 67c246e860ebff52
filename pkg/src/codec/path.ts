/** Writes where in a value something is, as code would: `a.b[3].c`. */

/** One step: a field's name or an array's index. */
export type Step = string | number;

const PLAIN = /^[^.[\]"\s]+$/;

export function pathText(steps: readonly Step[], length = steps.length): string {
  let text = "";
  for (let index = 0; index < length; index++) {
    const step = steps[index] as Step;
    if (typeof step === "number") text += `[${step}]`;
    else if (PLAIN.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
