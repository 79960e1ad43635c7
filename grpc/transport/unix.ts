import type { ByteStream, Connect, Listener } from "./byte_stream.ts";
import { DenoByteStream, DenoListenerAdapter } from "./deno_conn.ts";

/** Whoever may connect may do everything: the socket belongs to its user alone. */
const SOCKET_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Listens on a unix socket that only its user may connect to (mode 0600). A socket file that nobody listens on any
 * more is replaced; one that answers, and a file that is no socket, are refused. The file goes with the listener.
 */
export async function listenUnix(path: string): Promise<Listener> {
  await refuseUsedPath(path);
  // Made in a closed folder and moved to its place: at no moment could another user connect to it.
  const folder = await Deno.makeTempDir({ dir: dirname(path), prefix: "." });
  await Deno.chmod(folder, FOLDER_MODE);
  try {
    const listener = Deno.listen({ transport: "unix", path: `${folder}/s` });
    try {
      await Deno.chmod(`${folder}/s`, SOCKET_MODE);
      await Deno.rename(`${folder}/s`, path);
    } catch (error) {
      listener.close();
      throw error;
    }
    const open = (conn: Deno.UnixConn): ByteStream => new DenoByteStream(conn, `unix:${path}`);
    const { dev, ino } = await Deno.lstat(path);
    return new DenoListenerAdapter(listener, `unix:${path}`, open, () => removeSocket(path, dev, ino));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Connects to a unix socket. */
export function connectUnix(path: string): Connect {
  return async () => new DenoByteStream(await Deno.connect({ transport: "unix", path }), `unix:${path}`);
}

function dirname(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash + 1);
}

/** Removes our socket, unless another one has taken its place. */
function removeSocket(path: string, dev: number, ino: number | null): void {
  try {
    const there = Deno.lstatSync(path);
    if (there.dev === dev && there.ino === ino) Deno.removeSync(path);
  } catch {
    // It is gone already, or its folder is closed to us: neither must keep a daemon from stopping in order.
  }
}

async function refuseUsedPath(path: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  if (info.isSocket !== true) throw new Error(`"${path}" exists and is no socket; choose another path`);
  let live: Deno.UnixConn;
  try {
    live = await Deno.connect({ transport: "unix", path });
  } catch {
    // Nobody answers: its listener ended without removing it.
    return;
  }
  live.close();
  throw new Error(`another process listens on "${path}"`);
}
