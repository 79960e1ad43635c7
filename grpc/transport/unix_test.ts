import assert from "node:assert/strict";
import { connectUnix, listenUnix } from "./unix.ts";

async function socketPath(): Promise<string> {
  return `${await Deno.makeTempDir()}/test.sock`;
}

Deno.test("listenUnix makes a socket for its user alone, and removes it when it closes", async () => {
  const path = await socketPath();
  const listener = await listenUnix(path);
  assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
  listener.close();
  await assert.rejects(Deno.stat(path), Deno.errors.NotFound);
});

Deno.test("listenUnix replaces the socket of a process that is gone", async () => {
  const path = await socketPath();
  const script = `Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} }); Deno.exit(0);`;
  await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
  assert.equal((await Deno.lstat(path)).isSocket, true, "the file is left behind");
  const listener = await listenUnix(path);
  const accepted = listener.accept();
  (await connectUnix(path)()).close();
  (await accepted)?.close();
  listener.close();
});

Deno.test("listenUnix refuses a socket that answers and a file that is no socket, and leaves both", async () => {
  const path = await socketPath();
  const listener = await listenUnix(path);
  await assert.rejects(listenUnix(path), /another process listens/);
  (await listener.accept())?.close();
  const accepted = listener.accept();
  (await connectUnix(path)()).close();
  (await accepted)?.close();
  listener.close();
  await Deno.writeTextFile(path, "precious");
  await assert.rejects(listenUnix(path), /is no socket/);
  assert.equal(await Deno.readTextFile(path), "precious");
});

Deno.test("listenUnix leaves the socket of another that has taken its place", async () => {
  const path = await socketPath();
  const first = await listenUnix(path);
  await Deno.remove(path);
  const second = await listenUnix(path);
  first.close();
  assert.equal((await Deno.lstat(path)).isSocket, true);
  second.close();
});
