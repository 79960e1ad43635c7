import type { Connect, Listener } from "./byte_stream.ts";
import { DenoByteStream, DenoListenerAdapter } from "./deno_conn.ts";

/** Listens on a unix socket. Throws what the system says. */
export function listenUnix(path: string): Listener {
  const listener = Deno.listen({ transport: "unix", path });
  return new DenoListenerAdapter(
    listener,
    `unix:${path}`,
    (conn: Deno.UnixConn) => new DenoByteStream(conn, `unix:${path}`),
  );
}

/** Connects to a unix socket. */
export function connectUnix(path: string): Connect {
  return async () => new DenoByteStream(await Deno.connect({ transport: "unix", path }), `unix:${path}`);
}
