import {
  DEFAULT_GRPC_LIMITS,
  type Listener,
  listenTcp,
  listenUnix,
  listenWebSocket,
} from "@msgbus/grpc/server";
import type { ServerTls, TlsListener, TlsRefusal } from "@msgbus/grpc/tls";
import type { Config } from "./config/config.ts";
import { formatListenAddress, type ListenAddress } from "./config/listen_address.ts";

/** A listener could not be opened. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

/** What the daemon's QUIC connections carry (ALPN): HTTP/2 on one stream, which is nobody else's protocol. */
const QUIC_PROTOCOL = "msgbus";

/** All places where a daemon listens. */
export class Listeners {
  /** Every one, in the order of the configuration. */
  readonly all: readonly Listener[];
  readonly #secure: readonly TlsListener[];

  private constructor(all: readonly Listener[], secure: readonly TlsListener[]) {
    this.all = all;
    this.#secure = secure;
  }

  /** Opens them. Throws {@linkcode ListenError}; then none stays open. `tls` is there where one of them is secure. */
  static async open(
    config: Pick<Config, "listen" | "webSocketOrigins">,
    tls: ServerTls | undefined,
    onRefused: (refusal: TlsRefusal) => void,
  ): Promise<Listeners> {
    const all: Listener[] = [];
    const secure: TlsListener[] = [];
    for (const listen of config.listen) {
      try {
        let connections: Listener;
        if (listen.secure && tls !== undefined) {
          const listener = await openSecure(listen, tls, onRefused);
          secure.push(listener);
          connections = listener;
        } else connections = await openPlain(listen);
        all.push(carriedOn(connections, listen, config.webSocketOrigins));
      } catch (error) {
        for (const listener of all) listener.close();
        const reason = error instanceof Error ? error.message : String(error);
        throw new ListenError(`Cannot listen on "${formatListenAddress(listen)}" (--listen): ${reason}`, {
          cause: error,
        });
      }
    }
    return new Listeners(all, secure);
  }

  /** New connections get these credentials. */
  reload(tls: ServerTls): void {
    for (const listener of this.#secure) listener.reload(tls);
  }
}

/** Loads TLS and QUIC here, since a daemon without them should not hold them in memory. */
async function openSecure(
  { address, carrier }: ListenAddress,
  tls: ServerTls,
  onRefused: (refusal: TlsRefusal) => void,
): Promise<TlsListener> {
  if (address.kind === "unix") throw new Error("a unix socket has no TLS");
  const { handshakeTimeoutMs } = DEFAULT_GRPC_LIMITS;
  if (carrier === "quic") {
    const { listenQuic } = await import("@msgbus/grpc/quic");
    return listenQuic(address, tls, { protocol: QUIC_PROTOCOL, handshakeTimeoutMs });
  }
  const { listenTls, refusalFarewell, webSocketFarewell } = await import("@msgbus/grpc/tls");
  const isWebSocket = carrier === "websocket";
  return await listenTls(address, tls, {
    protocol: isWebSocket ? "http/1.1" : "h2",
    handshakeTimeoutMs,
    onRefused,
    farewell: isWebSocket ? webSocketFarewell : refusalFarewell,
  });
}

async function openPlain({ address }: ListenAddress): Promise<Listener> {
  return address.kind === "unix" ? await listenUnix(address.path) : listenTcp(address);
}

function carriedOn(connections: Listener, { carrier }: ListenAddress, origins: readonly string[]): Listener {
  switch (carrier) {
    case "stream":
    case "quic":
      return connections;
    case "websocket":
      return listenWebSocket(connections, {
        origins,
        handshakeTimeoutMs: DEFAULT_GRPC_LIMITS.handshakeTimeoutMs,
      });
  }
}
