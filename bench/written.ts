import { output } from "./programs.ts";

/** Bytes that all threads of a process have given to the disk's cache so far (Linux, `write_bytes`). */
export function writtenBytes(pid: number): number {
  const bytes = /^write_bytes: (\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/io`))?.[1];
  return Number(bytes);
}

/** Bytes of the disk that a folder's files take. */
export async function keptBytes(folder: string): Promise<number> {
  return Number((await output("du", ["-sB1", folder])).split("\t")[0]);
}
