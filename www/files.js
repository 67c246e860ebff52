/** Bytes to and from files of this machine. */

const TYPE = { description: "An export of Offshoot", accept: { "application/octet-stream": [".offshoot"] } };

/**
 * Where to save, chosen by the person where the browser lets a page ask, else the folder of downloads. Must be called
 * at once when the person asks, for a browser opens the chooser only then.
 * @returns {Promise<Saver | undefined>} nothing when the person chose nothing
 */
export async function chooseTarget(name) {
  if (window.showSaveFilePicker === undefined) return { save: (stream, signal) => download(name, stream, signal) };
  try {
    const handle = await showSaveFilePicker({ suggestedName: name, types: [TYPE] });
    return { save: (stream, signal) => writeTo(handle, stream, signal) };
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    throw error;
  }
}

/** Straight into the file, which stays as it was when this fails. */
async function writeTo(handle, stream, signal) {
  await stream.pipeTo(await handle.createWritable(), { signal });
}

/** A Blob lies in the browser's storage when it is large, so that memory does not have to hold it. */
async function download(name, stream, signal) {
  const parts = [];
  const gather = new WritableStream({ write: (part) => void parts.push(new Blob([part])) });
  await stream.pipeTo(gather, { signal });
  const url = URL.createObjectURL(new Blob(parts));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  // The browser has to have begun with it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Calls `onfile` with a file that was dropped upon the element, and marks it while one is above it. */
export function takesFiles(target, onfile) {
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (isOver) => target.classList.toggle("over", isOver);
  target.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    mark(true);
  });
  target.addEventListener("dragleave", (event) => {
    if (!target.contains(event.relatedTarget)) mark(false);
  });
  target.addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    mark(false);
    onfile(event.dataTransfer.files[0]);
  });
}
