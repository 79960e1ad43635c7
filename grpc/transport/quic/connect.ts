import type { ByteStream, Connect } from "../byte_stream.ts";
import { readFingerprints, requireNoAuthorityBeside } from "../fingerprint.ts";
import { formatTcpAddress, type TcpAddress } from "../tcp.ts";
import { TlsConnectError, type TlsConnectErrorCode } from "../tls_connect_error.ts";
import { hasQuic, KEEP_ALIVE_MS, MAX_IDLE_MS, NO_QUIC } from "./availability.ts";
import { QuicByteStream } from "./quic_stream.ts";

/** Whom a client of QUIC trusts, and what it asks for. */
export interface QuicConnectOptions {
  /** What the connection carries (ALPN, RFC 7301): the listener's protocol. */
  readonly protocol: string;
  /**
   * Authorities that may vouch for the server, as PEM text, beside those that the runtime knows. A certificate that a server
   * signed itself as an authority (`openssl req -x509`) is taken by its fingerprint only.
   */
  readonly ca?: string;
  /**
   * SHA-256 of the certificates that the server may have, in place of `ca`: 64 hexadecimal digits each. Such a one is
   * trusted whoever issued it and whatever its names are, as long as it is valid by its dates.
   */
  readonly fingerprints?: readonly string[];
  /** The name or IP address that the server's certificate must carry; the address's host where absent. */
  readonly serverName?: string;
}

/**
 * Connects by QUIC (RFC 9000), whose one bidirectional stream carries the connection. The server's certificate is
 * checked. A connection survives a change of our address, and is broken after 30 seconds without an answer. Where
 * nobody listens, that takes as long as the caller waits. Throws TlsConnectError, TlsCredentialsError for unusable
 * options, and Error where the runtime has no QUIC.
 */
export function connectQuic(address: TcpAddress, options: QuicConnectOptions): Connect {
  // One socket for all attempts: the runtime gives a closed one back only when it collects garbage.
  let endpoint: Deno.QuicEndpoint | undefined;
  return async (signal) => {
    if (!hasQuic()) throw new Error(`Cannot connect by QUIC: ${NO_QUIC}`);
    signal?.throwIfAborted();
    if (options.fingerprints !== undefined) requireNoAuthorityBeside(options.ca);
    endpoint ??= new Deno.QuicEndpoint({
      hostname: /^[0-9.]+$/.test(address.hostname) ? "0.0.0.0" : "::",
      port: 0,
    });
    try {
      return await unlessAborted(dial(address, options, endpoint), signal);
    } catch (error) {
      // The socket itself may be what failed.
      if (error instanceof TlsConnectError && error.code === "failed") endpoint = undefined;
      throw error;
    }
  };
}

/** An attempt can't be taken back: what comes of it later is closed. */
function unlessAborted(dialing: Promise<ByteStream>, signal: AbortSignal | undefined): Promise<ByteStream> {
  if (signal === undefined) return dialing;
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(signal.reason);
      dialing.then((stream) => stream.close(), () => {});
    };
    signal.addEventListener("abort", abort, { once: true });
    dialing.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

async function dial(
  address: TcpAddress,
  { protocol, ca, fingerprints, serverName }: QuicConnectOptions,
  endpoint: Deno.QuicEndpoint,
): Promise<ByteStream> {
  const hashes = fingerprints === undefined ? undefined : readFingerprints(fingerprints).map(toHash);
  try {
    const conn = await Deno.connectQuic({
      hostname: address.hostname,
      port: address.port,
      endpoint,
      alpnProtocols: [protocol],
      serverName: serverName ?? address.hostname,
      ...(ca !== undefined && { caCerts: [ca] }),
      // The runtime's WebTransport needs it, and its types don't say so; without it the authority would be asked.
      ...(hashes !== undefined && { serverCertificateHashes: hashes }),
      keepAliveInterval: KEEP_ALIVE_MS,
      maxIdleTimeout: MAX_IDLE_MS,
      maxConcurrentBidirectionalStreams: 0,
      maxConcurrentUnidirectionalStreams: 0,
    });
    // How it ends is told by its stream.
    conn.closed.catch(() => {});
    const stream = await conn.createBidirectionalStream();
    return new QuicByteStream(conn, stream, "client", `quic:${formatTcpAddress(address)}`);
  } catch (error) {
    throw connectError(error, protocol, hashes !== undefined);
  }
}

/** A fingerprint as the runtime wants it (WebTransport, WebTransportHash). */
function toHash(fingerprint: string): { readonly algorithm: "sha-256"; readonly value: Uint8Array } {
  return { algorithm: "sha-256", value: Uint8Array.fromHex(fingerprint) };
}

/** What the runtime says of a certificate; only its text tells. */
const CODES: readonly (readonly [RegExp, TlsConnectErrorCode])[] = [
  [/invalid peer certificate: (UnknownIssuer|BadSignature)/, "untrusted"],
  [/invalid peer certificate: (certificate )?(expired|not valid yet|Expired|NotValidYet)/, "expired"],
  [/invalid peer certificate: certificate not valid for name/, "wrong_name"],
];

function connectError(error: unknown, protocol: string, pinned: boolean): TlsConnectError {
  const message = error instanceof Error ? error.message : String(error);
  const code = CODES.find(([pattern]) => pattern.test(message))?.[1];
  if (code === "untrusted" && pinned) {
    return new TlsConnectError("wrong_certificate", undefined, { cause: error });
  }
  if (/CaUsedAsEndEntity/.test(message)) {
    const detail = "it is an authority's own, which QUIC takes by its fingerprint only";
    return new TlsConnectError("untrusted", detail, { cause: error });
  }
  if (code === "wrong_name") return new TlsConnectError(code, message, { cause: error });
  if (code !== undefined) return new TlsConnectError(code, undefined, { cause: error });
  const hint = /known protocol/.test(message) ? `the server has no protocol "${protocol}"` : message;
  return new TlsConnectError("failed", hint, { cause: error });
}
