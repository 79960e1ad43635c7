import type { ByteStream, Connect, Listener } from "./byte_stream.ts";
import { PlainClientStream } from "./plain_client_stream.ts";
import { DenoByteStream, DenoListenerAdapter } from "./deno_conn.ts";

/** A host and a port of TCP. */
export interface TcpAddress {
  /** A name or an IP address, IPv6 without brackets. */
  readonly hostname: string;
  /** 0 lets the system choose when listening. */
  readonly port: number;
}

/** Listens on a TCP address. Throws what the system says: the address is in use, or not ours. */
export function listenTcp(address: TcpAddress): Listener {
  const listener = Deno.listen({ transport: "tcp", hostname: address.hostname, port: address.port });
  const { hostname, port } = listener.addr;
  return new DenoListenerAdapter(listener, formatTcpAddress({ hostname, port }), openTcp);
}

/** Connects to a TCP address. */
export function connectTcp({ hostname, port }: TcpAddress): Connect {
  return async (signal) =>
    new PlainClientStream(openTcp(await Deno.connect({ hostname, port, ...(signal && { signal }) })));
}

/** "host:port", with brackets around IPv6. */
export function formatTcpAddress({ hostname, port }: TcpAddress): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

function openTcp(conn: Deno.TcpConn): ByteStream {
  // Frames leave once per turn already: waiting for company in the kernel would only add delay.
  conn.setNoDelay(true);
  const { hostname, port } = conn.remoteAddr;
  return new DenoByteStream(conn, `tcp:${formatTcpAddress({ hostname, port })}`);
}
