/** A database and the files beside it: its write-ahead log among them. */
async function filesOf(data: string): Promise<string[]> {
  const cut = data.lastIndexOf("/") + 1;
  const [folder, name] = [data.slice(0, cut), data.slice(cut)];
  const paths: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && entry.name.startsWith(name)) paths.push(folder + entry.name);
  }
  return paths;
}

/** Removes the data of a daemon that does not run. */
export async function wipe(data: string): Promise<void> {
  for (const path of await filesOf(data)) await Deno.remove(path);
}

/** Puts a copy of the data of a daemon that does not run in the place of other data. */
export async function copyData(from: string, to: string): Promise<void> {
  await wipe(to);
  for (const path of await filesOf(from)) await Deno.copyFile(path, to + path.slice(from.length));
}

/** Whether the bytes of a text stand anywhere in the data of a daemon. */
export async function contains(data: string, text: string): Promise<boolean> {
  for (const path of await filesOf(data)) {
    const bytes = await Deno.readFile(path);
    // Each byte as one character: the text is ASCII.
    if (new TextDecoder("latin1").decode(bytes).includes(text)) return true;
  }
  return false;
}
