/** How often a second the folder's disk can make 256 appended bytes durable: the floor under every durable publish. */
export async function fdatasyncRate(folder: string, seconds = 2): Promise<number> {
  const path = `${folder}/fdatasync`;
  using file = await Deno.open(path, { create: true, truncate: true, write: true });
  const bytes = new Uint8Array(256);
  let count = 0;
  const begin = performance.now();
  while (performance.now() - begin < seconds * 1_000) {
    file.writeSync(bytes);
    file.syncDataSync();
    count++;
  }
  const elapsed = performance.now() - begin;
  await Deno.remove(path);
  return (count / elapsed) * 1_000;
}
