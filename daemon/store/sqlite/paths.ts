// Deno's own calls and not node:fs and node:path: loading those two costs an idle daemon 7 MB.

/** What is known of a file; undefined where there is none. */
export function statIfThere(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The folder of a path. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : slash === 0 ? "/" : path.slice(0, slash);
}

/** The absolute path without links; of a file that is not there yet, as far as its folders are. */
export function realPath(path: string): string {
  const absolute = path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
  try {
    return Deno.realPathSync(absolute);
  } catch {
    // It is not there, or not readable, which opening it will tell.
    const folder = folderOf(absolute);
    return folder === absolute
      ? absolute
      : `${realPath(folder).replace(/\/$/, "")}/${absolute.slice(absolute.lastIndexOf("/") + 1)}`;
  }
}
