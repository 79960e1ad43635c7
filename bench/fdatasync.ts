/** Bytes of one append. */
const APPENDED_BYTES = 256;

/** How often a second the folder's disk can make 256 appended bytes durable: the floor under every durable publish. */
export async function fdatasyncRate(folder: string, seconds = 2): Promise<number> {
  const times = await fdatasyncTimes(folder, seconds);
  return times.length / seconds;
}

/** Milliseconds that each of many such appends takes. */
export async function fdatasyncTimes(folder: string, seconds = 2): Promise<number[]> {
  const path = `${folder}/fdatasync`;
  using file = await Deno.open(path, { create: true, truncate: true, write: true });
  const bytes = new Uint8Array(APPENDED_BYTES);
  const times: number[] = [];
  const begin = performance.now();
  for (let now = begin; now - begin < seconds * 1_000;) {
    file.writeSync(bytes);
    file.syncDataSync();
    const after = performance.now();
    times.push(after - now);
    now = after;
  }
  await Deno.remove(path);
  return times;
}
