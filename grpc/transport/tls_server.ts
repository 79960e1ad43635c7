import type { ByteStream, Listener } from "./byte_stream.ts";
import { judgeClient } from "./client_certificate.ts";
import { NodeByteStream } from "./node_socket.ts";
import type { ServerTls } from "./server_tls.ts";
import { formatTcpAddress, type TcpAddress } from "./tcp.ts";
import { isAgreed, type TlsProtocol } from "./tls_protocol.ts";
import {
  type HandshakeFailure,
  REFUSAL_WITHOUT,
  refusalOf,
  type TlsRefusal,
  tlsRefusal,
  type TlsRefusalCode,
} from "./tls_refusal.ts";

type NodeTls = typeof import("node:tls");
type RawSocket = import("node:net").Socket;
type SecureSocket = import("node:tls").TLSSocket;

/** How a TLS listener behaves where the defaults do not fit. */
export interface TlsListenOptions {
  /** What connections carry; default "h2". "http/1.1" is for `listenWebSocket`. */
  readonly protocol?: TlsProtocol;
  /** Milliseconds that a handshake may take; default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** Handshakes under way at once; when one more comes, the oldest gives way. Default 1,024. */
  readonly maxHandshakes?: number;
  /** Told of every connection that was refused. Must not throw. */
  readonly onRefused?: (refusal: TlsRefusal) => void;
  /** What a client hears that is refused after its handshake, for the sake of its certificate; nothing where absent. */
  readonly farewell?: (reason: string) => Uint8Array;
}

/** A listener whose credentials can be exchanged. */
export interface TlsListener extends Listener {
  /** New connections get these credentials; those that are open, and handshakes under way, go on as they began. */
  reload(tls: ServerTls): void;
}

const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_HANDSHAKES = 1_024;
/** HTTP/2 over TLS (RFC 9113, 3.1). */
const DEFAULT_PROTOCOL = "h2";

/**
 * Listens for TLS 1.2 and 1.3 on a TCP address, with HTTP/2 as the only protocol where the options name no other. A connection is accepted when its
 * handshake is done; no handshake holds up another. Throws what the system says: the address is in use, or not ours.
 */
export async function listenTls(
  address: TcpAddress,
  tls: ServerTls,
  options: TlsListenOptions = {},
): Promise<TlsListener> {
  const [nodeTls, { createServer }] = await Promise.all([import("node:tls"), import("node:net")]);
  const server = createServer({ noDelay: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address.hostname, port: address.port }, resolve);
  });
  const bound = server.address();
  const at = bound === null || typeof bound === "string"
    ? address
    : { hostname: bound.address, port: bound.port };
  const listener = new NodeTlsListener(
    nodeTls,
    `https://${formatTcpAddress(at)}`,
    () => server.close(),
    tls,
    options,
  );
  // One connection that can't be accepted (no descriptor left) is not the listener's end.
  server.on("error", () => {});
  server.on("connection", (socket) => listener.shake(socket));
  return listener;
}

/** A handshake under way. */
interface Handshake {
  readonly remote: string;
  readonly cancelTimer: () => void;
  /** Whether its refusal was told: what follows is only its end. */
  refused: boolean;
}

class NodeTlsListener implements TlsListener {
  readonly address: string;
  readonly #nodeTls: NodeTls;
  readonly #stopListening: () => void;
  readonly #options: TlsListenOptions;
  readonly #protocol: TlsProtocol;
  readonly #handshakes = new Map<RawSocket, Handshake>();
  readonly #ready: ByteStream[] = [];
  #tls: ServerTls;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(
    nodeTls: NodeTls,
    address: string,
    stop: () => void,
    tls: ServerTls,
    options: TlsListenOptions,
  ) {
    this.address = address;
    this.#nodeTls = nodeTls;
    this.#stopListening = stop;
    this.#tls = tls;
    this.#options = options;
    this.#protocol = options.protocol ?? DEFAULT_PROTOCOL;
  }

  reload(tls: ServerTls): void {
    this.#tls = tls;
  }

  async accept(): Promise<ByteStream | null> {
    while (this.#ready.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#ready.shift() ?? null;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopListening();
    for (const [socket, { cancelTimer }] of this.#handshakes) {
      cancelTimer();
      socket.destroy();
    }
    this.#handshakes.clear();
    this.#wake?.();
  }

  /** Does the handshake of a new connection. */
  shake(socket: RawSocket): void {
    if (this.#closed) return void socket.destroy();
    const remote = formatTcpAddress({ hostname: socket.remoteAddress ?? "?", port: socket.remotePort ?? 0 });
    const [oldest] = this.#handshakes.keys();
    const full = this.#handshakes.size >= (this.#options.maxHandshakes ?? DEFAULT_MAX_HANDSHAKES);
    if (full && oldest !== undefined) this.#refuse(oldest, "too_many");
    const timer = setTimeout(
      () => this.#refuse(socket, "timeout"),
      this.#options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS,
    );
    this.#handshakes.set(socket, { remote, cancelTimer: () => clearTimeout(timer), refused: false });
    // A server of its own for each: its events are of this connection alone, and its credentials those of this moment.
    const tls = this.#tls;
    const { cert, key, clientCa } = tls.pem;
    const server = this.#nodeTls.createServer({
      cert,
      key,
      // Whether a certificate is good enough is said below, where its reason can be told.
      ...(clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: false }),
      minVersion: "TLSv1.2",
      ALPNProtocols: [this.#protocol],
      // None: the runtime's timer outlives a failed handshake and would keep its memory. Ours is above.
      handshakeTimeout: -1,
    });
    server.on("secureConnection", (secure) => this.#established(socket, secure, tls));
    server.on("tlsClientError", (error: HandshakeFailure, secure) => {
      this.#tell(socket, (remote) => refusalOf(remote, error, this.#protocol));
      this.#end(socket);
      secure.destroy();
    });
    server.emit("connection", socket);
  }

  #established(socket: RawSocket, secure: SecureSocket, tls: ServerTls): void {
    const remote = this.#handshakes.get(socket)?.remote;
    if (remote === undefined) return void secure.destroy();
    if (!isAgreed(this.#protocol, secure.alpnProtocol)) {
      return this.#refuse(socket, REFUSAL_WITHOUT[this.#protocol]);
    }
    const verdict = tls.demandsClientCertificate ? judgeClient(secure, tls) : { identity: undefined };
    if ("code" in verdict) {
      return this.#dismiss(socket, secure, tlsRefusal(verdict.code, remote, verdict.detail));
    }
    this.#end(socket);
    this.#ready.push(new NodeByteStream(secure, `tls:${remote}`, verdict));
    this.#wake?.();
  }

  /** Refuses a client that would listen: it is told why. Until it went away, or its time is over, it counts as a handshake. */
  #dismiss(socket: RawSocket, secure: SecureSocket, refusal: TlsRefusal): void {
    this.#tell(socket, () => refusal);
    const gone = () => this.#end(socket);
    secure.on("error", gone);
    secure.on("close", gone);
    // What it sent is read and thrown away: closing a socket with unread bytes would take our words with it.
    secure.resume();
    secure.end(this.#options.farewell?.(refusal.reason) ?? new Uint8Array(0));
  }

  #refuse(socket: RawSocket, code: TlsRefusalCode): void {
    this.#tell(socket, (remote) => tlsRefusal(code, remote));
    this.#end(socket);
    socket.destroy();
  }

  /** Tells of the first refusal of a handshake. */
  #tell(socket: RawSocket, refusal: (remote: string) => TlsRefusal): void {
    const handshake = this.#handshakes.get(socket);
    if (handshake === undefined || handshake.refused) return;
    handshake.refused = true;
    this.#options.onRefused?.(refusal(handshake.remote));
  }

  #end(socket: RawSocket): void {
    this.#handshakes.get(socket)?.cancelTimer();
    this.#handshakes.delete(socket);
  }
}
