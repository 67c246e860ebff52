/** Questions to the person. The dialog element keeps the focus inside, closes at Escape, and gives the focus back. */
import { button, element, field } from "./dom.js";
import { problem } from "./words.js";

/** Work that takes longer is seen to be under way. */
const PATIENCE = 300;

/**
 * Shows a dialog with a form. `submit` does the work while the dialog is there: the dialog shows its error, and closes
 * when it succeeds. `extra` are further actions of the same kind.
 * @returns what the action returned, or undefined when the person left the dialog
 */
export function ask({ title, content, action, isDangerous, submit, extra = [], wide }) {
  return new Promise((resolve) => {
    const opener = document.activeElement?.id;
    const alert = element("div", { role: "alert", class: "problem", hidden: true });
    const busy = element("progress", { "aria-label": "Under way", hidden: true });
    const cancel = button(submit === undefined ? "Close" : "Cancel", () => dialog.close());
    const confirm = element("button", { type: "submit", class: isDangerous ? "danger" : "primary" }, action ?? "");
    let answer;
    let working = Promise.resolve();
    /** One action at a time. The focus would be lost with the button that is disabled meanwhile. */
    const attempt = async (work) => {
      const focused = document.activeElement;
      const buttons = [...dialog.querySelectorAll("button")];
      alert.hidden = true;
      for (const each of buttons) each.disabled = true;
      const waiting = setTimeout(() => (busy.hidden = false), PATIENCE);
      try {
        answer = await work();
        dialog.close();
      } catch (error) {
        showProblem(alert, error);
      } finally {
        clearTimeout(waiting);
        busy.hidden = true;
        for (const each of buttons) each.disabled = false;
        if (dialog.open) focused?.focus();
      }
    };
    const act = (work) => (working = attempt(work));
    const onsubmit = (event) => {
      event.preventDefault();
      if (submit !== undefined && !confirm.disabled) act(submit);
    };
    const others = extra.map(({ text, work, properties }) => button(text, () => act(work), properties));
    const buttons = element("div", { class: "buttons" }, others, cancel, submit === undefined ? undefined : confirm);
    const form = element(
      "form",
      { method: "dialog", onsubmit },
      element("h2", { id: "dialog-title" }, title),
      content,
      alert,
      busy,
      buttons,
    );
    const dialog = element("dialog", { "aria-labelledby": "dialog-title", class: wide ? "wide" : undefined }, form);
    dialog.addEventListener("close", async () => {
      dialog.remove();
      // The element that had the focus before may have been replaced by a new one meanwhile: find that by its id.
      if (document.activeElement === document.body && opener) document.getElementById(opener)?.focus();
      // Escape closes the dialog also while an action is under way, which then still ends.
      await working;
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function showProblem(alert, error) {
  const { code, message } = problem(error);
  alert.replaceChildren(...(code === "" ? [] : [element("strong", {}, code), " "]), message);
  alert.hidden = false;
}

/** @returns true when the person agreed and `work` is done */
export async function confirm(title, text, action, work) {
  const content = element("p", {}, text);
  const done = await ask({ title, content, action, isDangerous: true, submit: async () => (await work(), true) });
  return done === true;
}

/** @returns true when the person agreed and `destroy` is done */
export function askToDestroy(destroy) {
  const text = "Every database in it goes, in this tab and in all others. There is no way back.";
  return confirm("Delete the store?", text, "Delete everything", destroy);
}

/** The first of "draft", "draft-2"… that is not taken. */
function freeName(wanted, taken) {
  let proposal = wanted;
  for (let next = 2; taken.includes(proposal); next++) proposal = `${wanted}-${next}`;
  return proposal;
}

function nameInput(value) {
  return element("input", { value, autocomplete: "off", spellcheck: "false", maxlength: 64, required: true });
}

const NAME_HINT = "Letters, digits, - _ and .";

function choice(id, options) {
  return element("select", { id }, ...options.map(([value, words]) => element("option", { value }, words)));
}

const TIMES_TO_LIVE = [
  ["", "until it is dropped"],
  ["10m", "10 minutes"],
  ["1h", "1 hour"],
  ["1d", "1 day"],
  ["7d", "1 week"],
];

/** Asks for the name of a new clone, how long it lives, and where its rows are. `create` makes it. */
export function askForClone({ origin, at, taken, create }) {
  const name = nameInput(freeName("draft", taken));
  const ttl = choice("clone-ttl", TIMES_TO_LIVE);
  const rows = choice("clone-rows", [
    ["never", `read from ${origin}`],
    ["background", "copied in the background"],
  ]);
  const moment = at === undefined ? "as it is now" : `as it was at ${at}`;
  const content = element(
    "div",
    {},
    element("p", {}, `The clone begins as ${origin} ${moment}, in a moment, whatever the size.`),
    field("Name of the clone", name, NAME_HINT),
    field("Rows", rows, `Once all of them are copied, the clone can't be merged into ${origin} any more.`),
    field("It lives", ttl, "After that it goes when the store is opened again, unless something depends on it."),
  );
  const submit = async () => {
    const options = rows.value === "background" ? { materialize: "background" } : {};
    if (ttl.value !== "") options.ttl = ttl.value;
    const took = await create(name.value, options);
    return { name: name.value, took };
  };
  const answer = ask({ title: `Clone ${origin}`, content, action: "Clone", submit });
  name.select();
  return answer;
}

/** @returns { keepAs } when the person agreed and `work(keepAs)` is done */
export function askToRestore({ name, moment, taken, work }) {
  const isKept = element("input", { type: "checkbox", id: "restore-keep", checked: true });
  const keepAs = nameInput(freeName("before-restore", taken));
  const naming = field("Name of the clone", keepAs, NAME_HINT);
  isKept.addEventListener("change", () => {
    naming.hidden = keepAs.disabled = !isKept.checked;
  });
  const content = element(
    "div",
    {},
    element("p", {}, `${name} becomes what it was at ${moment}, in one commit. Its clones stay as they are.`),
    element("label", { class: "check" }, isKept, "Keep the present as a clone"),
    naming,
  );
  const submit = async () => {
    const kept = isKept.checked ? keepAs.value : undefined;
    await work(kept);
    return { keepAs: kept };
  };
  return ask({ title: `Restore ${name}?`, content, action: "Restore", isDangerous: true, submit });
}
