// Files of a drop or a choice, one after the other: folders may hold hundreds of thousands.

/** What was dropped; called at once in the event, before the browser forgets it. */
export function dropped(transfer) {
  const entries = [];
  for (const item of transfer.items ?? []) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry?.();
    if (entry) entries.push(entry);
    else if (item.getAsFile()) entries.push(item.getAsFile());
  }
  return entries.length ? entries : [...transfer.files];
}

/** Yields {file, path} of files and folders. `onProblem(path, reason)` hears what cannot be read. */
export async function* walk(entries, onProblem) {
  for (const entry of entries) {
    if (entry instanceof File) {
      yield { file: entry, path: entry.webkitRelativePath || entry.name };
    } else if (entry.isFile) {
      try {
        yield { file: await fileOf(entry), path: entry.fullPath.replace(/^\//, "") };
      } catch (error) {
        onProblem(entry.fullPath, `the browser cannot read it (${error.name})`);
      }
    } else {
      yield* folder(entry, onProblem);
    }
  }
}

async function* folder(entry, onProblem) {
  const reader = entry.createReader();
  for (;;) {
    let some;
    try {
      some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    } catch (error) {
      onProblem(entry.fullPath, `the browser cannot read this folder (${error.name})`);
      return;
    }
    if (!some.length) return;
    yield* walk(some, onProblem);
  }
}

const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));
