import type { ByteStream } from "../byte_stream.ts";
import type { ServerTls } from "../server_tls.ts";
import { formatTcpAddress, type TcpAddress } from "../tcp.ts";
import type { TlsListener } from "../tls_server.ts";
import { hasQuic, KEEP_ALIVE_MS, MAX_IDLE_MS, NO_QUIC } from "./availability.ts";
import { QuicByteStream } from "./quic_stream.ts";

/** How a QUIC listener behaves. */
export interface QuicListenOptions {
  /** What connections carry (ALPN, RFC 7301); a client must ask for the same. */
  readonly protocol: string;
  /** Milliseconds from a client's first packet to the first bytes of its stream; default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** Handshakes under way at once; one more is ignored. Default 1,024. */
  readonly maxHandshakes?: number;
}

const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000;
const DEFAULT_MAX_HANDSHAKES = 1_024;

/**
 * Listens for QUIC (RFC 9000) on a UDP address; the first bidirectional stream of a client carries the connection, and
 * there is no other. The runtime can't ask for client certificates, so credentials that demand them are refused. A
 * client that does not answer for 30 seconds is gone. A closed listener refuses whoever comes; the runtime gives its port
 * back when it collects garbage, or when the process ends. Throws what the system says: the address is in use, or not ours.
 */
export function listenQuic(address: TcpAddress, tls: ServerTls, options: QuicListenOptions): TlsListener {
  if (!hasQuic()) throw new Error(NO_QUIC);
  if (tls.demandsClientCertificate) {
    throw new Error("QUIC can't ask for client certificates; use TLS for them");
  }
  return new QuicListener(new Deno.QuicEndpoint(address), tls, options);
}

class QuicListener implements TlsListener {
  readonly address: string;
  readonly #endpoint: Deno.QuicEndpoint;
  readonly #options: QuicListenOptions;
  readonly #ready: ByteStream[] = [];
  #incoming: Deno.QuicListener;
  #handshakes = 0;
  #connections = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(endpoint: Deno.QuicEndpoint, tls: ServerTls, options: QuicListenOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.address = `quic://${formatTcpAddress(endpoint.addr)}`;
    try {
      this.#incoming = this.#listen(tls);
    } catch (error) {
      endpoint.close();
      throw error;
    }
    void this.#run(); // ends with the endpoint
  }

  reload(tls: ServerTls): void {
    if (this.#closed) return;
    // The endpoint stays, and with it the connections that are open.
    this.#incoming.stop();
    this.#incoming = this.#listen(tls);
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
    for (const stream of this.#ready.splice(0)) stream.close();
    this.#wake?.();
    this.#closeUnused();
  }

  #listen({ pem }: ServerTls): Deno.QuicListener {
    return this.#endpoint.listen({
      cert: pem.cert,
      key: pem.key,
      alpnProtocols: [this.#options.protocol],
      keepAliveInterval: KEEP_ALIVE_MS,
      maxIdleTimeout: MAX_IDLE_MS,
      maxConcurrentBidirectionalStreams: 1,
      maxConcurrentUnidirectionalStreams: 0,
    });
  }

  async #run(): Promise<void> {
    // Also when it is closed: whoever comes while others are still open is refused, and need not wait for an answer.
    for (;;) {
      const listener = this.#incoming;
      let incoming: Deno.QuicIncoming;
      try {
        incoming = await listener.incoming();
      } catch {
        // The endpoint is closed; or the credentials were exchanged: then the next one has the connections.
        if (this.#incoming === listener) return;
        continue;
      }
      const full = this.#handshakes >= (this.#options.maxHandshakes ?? DEFAULT_MAX_HANDSHAKES);
      if (this.#closed) incoming.refuse();
      else if (full) incoming.ignore();
      else void this.#shake(incoming);
    }
  }

  async #shake(incoming: Deno.QuicIncoming): Promise<void> {
    this.#handshakes++;
    this.#connections++;
    let conn: Deno.QuicConn | undefined;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      conn?.close();
    }, this.#options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS);
    try {
      conn = await incoming.accept();
      conn.closed.then(() => this.#forget(), () => this.#forget());
      const streams = conn.incomingBidirectionalStreams.getReader();
      // The timer closes the connection, which ends the wait.
      const { value: stream } = late ? { value: undefined } : await streams.read();
      if (stream === undefined || this.#closed) return conn.close();
      const peer = `quic:${formatTcpAddress(conn.remoteAddr)}`;
      this.#ready.push(new QuicByteStream(conn, stream, "server", peer));
      this.#wake?.();
    } catch {
      // The client is gone, refused our certificate, or asked for another protocol: it was told by QUIC.
      if (conn === undefined) this.#forget();
      else conn.close();
    } finally {
      clearTimeout(timer);
      this.#handshakes--;
    }
  }

  #forget(): void {
    this.#connections--;
    this.#closeUnused();
  }

  /** They share the endpoint. */
  #closeUnused(): void {
    if (this.#closed && this.#connections === 0) this.#endpoint.close();
  }
}
