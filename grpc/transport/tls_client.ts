import type { X509Certificate } from "node:crypto";
import type { ByteStream, Connect } from "./byte_stream.ts";
import { CertificateChains, chainOf } from "./certificate_chain.ts";
import { isVersion3 } from "./certificate_version.ts";
import { showsExpiredCertificate } from "./expired_server.ts";
import { plainFingerprint, readFingerprints, requireNoAuthorityBeside } from "./fingerprint.ts";
import { isValidAt, readCertificates, requireKeyOf, TlsCredentialsError } from "./key_pair.ts";
import { NodeByteStream } from "./node_socket.ts";
import { formatTcpAddress, type TcpAddress } from "./tcp.ts";
import { TlsConnectError } from "./tls_connect_error.ts";
import { isAgreed, type TlsProtocol } from "./tls_protocol.ts";

/** Whom a client trusts, and what it shows, as PEM texts. */
export interface TlsClientOptions {
  /**
   * The authorities that may vouch for the server, in place of those that the runtime knows; or the one that it
   * signed itself. On Deno their keys must be RSA, Ed25519, or ECDSA with P-256, P-384 or P-521.
   */
  readonly ca?: string;
  /**
   * SHA-256 of the certificates that the server may have, in place of `ca`: 64 hexadecimal digits each, with or without
   * colons (`openssl x509 -noout -fingerprint -sha256`). Such a certificate is trusted whoever issued it and whatever
   * its names are, as long as it is valid by its dates: right for a device that signed its own.
   */
  readonly fingerprints?: readonly string[];
  /** The client's own certificate, followed by those between it and its authority; with `key`. */
  readonly cert?: string;
  /** That certificate's private key, not encrypted. */
  readonly key?: string;
  /** The name or IP address that the server's certificate must carry; the address's host where absent. */
  readonly serverName?: string;
}

/**
 * Connects to a TCP address with TLS and HTTP/2 (ALPN "h2"), on Deno, Node and Bun; with the protocol "http/1.1" for
 * `connectWebSocket`. A connection is opened when the
 * server's certificate was found to be valid, and either of a trusted authority and for the right name, or one of those
 * whose fingerprints are given. Throws TlsConnectError,
 * whose message says what was wrong, and TlsCredentialsError for unusable options.
 */
export function connectTls(
  address: TcpAddress,
  options: TlsClientOptions = {},
  protocol: TlsProtocol = "h2",
): Connect {
  let trusting: Promise<Trust> | undefined;
  return async (signal) =>
    await shakeHands(address, options, await (trusting ??= trustOf(options)), protocol, signal);
}

/** How a server's certificate is judged, read once from the options. */
interface Trust {
  /** The fingerprints that the certificate may have, where they decide. */
  readonly fingerprints: readonly string[] | undefined;
  /** Whether an authority of the options vouches for it, where that is asked beside the runtime. */
  readonly vouchesFor: ((certificate: X509Certificate) => Promise<boolean>) | undefined;
}

/** Checks the options, since some runtimes take an unusable text as none at all. Throws TlsCredentialsError. */
async function trustOf({ ca, fingerprints, cert, key }: TlsClientOptions): Promise<Trust> {
  if (fingerprints !== undefined) requireNoAuthorityBeside(ca);
  const trust: Trust = {
    fingerprints: fingerprints === undefined ? undefined : readFingerprints(fingerprints),
    vouchesFor: ca === undefined ? undefined : await voucher(await readCertificates("ca", ca)),
  };
  if (cert === undefined && key === undefined) return trust;
  if (cert === undefined) throw new TlsCredentialsError("cert", "it is missing beside the key");
  if (key === undefined) throw new TlsCredentialsError("key", "it is missing beside the certificate");
  const [leaf] = await readCertificates("cert", cert);
  await requireKeyOf(leaf, key);
  return trust;
}

async function shakeHands(
  address: TcpAddress,
  { ca, cert, key, serverName }: TlsClientOptions,
  { fingerprints: pinned, vouchesFor }: Trust,
  protocol: TlsProtocol,
  signal: AbortSignal | undefined,
): Promise<ByteStream> {
  const [{ checkServerIdentity, connect }, { isIP }] = await Promise.all([
    import("node:tls"),
    import("node:net"),
  ]);
  const peer = `tls:${formatTcpAddress(address)}`;
  const name = serverName ?? address.hostname;
  // An IP address is no name to ask a server for (RFC 6066, 3).
  const servername = isIP(name) === 0 ? name : undefined;
  return await new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const socket = connect({
      host: address.hostname,
      port: address.port,
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(servername !== undefined && { servername }),
      checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
      ALPNProtocols: [protocol],
      minVersion: "TLSv1.2",
      // Whatever the environment says. What the runtime then leaves unchecked of a certificate, `problemOf` refuses.
      rejectUnauthorized: pinned === undefined,
    });
    const abort = () => {
      socket.destroy();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    socket.on("error", (error) => {
      signal?.removeEventListener("abort", abort);
      const connectError = TlsConnectError.from(error, name, protocol);
      if (connectError.code === "untrusted" && pinned !== undefined) {
        const detail = "it shows one whose key it does not have";
        return reject(new TlsConnectError("wrong_certificate", detail, { cause: error }));
      }
      if (connectError.code !== "untrusted" || !("Deno" in globalThis)) return reject(connectError);
      const expired = new TlsConnectError("expired", undefined, { cause: error });
      void showsExpiredCertificate(address, servername, protocol).then((isExpired) =>
        reject(isExpired ? expired : connectError)
      );
    });
    socket.on("secureConnect", () => {
      // With TLS 1.3 a server judges our certificate after the handshake is done for us.
      const ended = cert === undefined ? "client_certificate_required" : "client_certificate_refused";
      // Made at once: while the certificate is judged, the other end may go away.
      const stream = new NodeByteStream(socket, peer, {
        explain: (error, silent) =>
          silent && isEnd(error)
            ? new TlsConnectError(ended, "so it seems, it ended the connection without a word", {
              cause: error,
            })
            : error && TlsConnectError.from(error, name, protocol),
      });
      void problemOf(socket.getPeerX509Certificate(), pinned, vouchesFor).then((found) => {
        signal?.removeEventListener("abort", abort);
        const problem = found ??
          (isAgreed(protocol, socket.alpnProtocol)
            ? undefined
            : new TlsConnectError(protocol === "h2" ? "no_http2" : "no_http1"));
        if (problem === undefined) {
          socket.setNoDelay(true);
          return resolve(stream);
        }
        stream.close();
        reject(problem);
      });
    });
  });
}

/** Why a certificate is not taken for one of those with these fingerprints. */
function pinProblem(
  certificate: X509Certificate | undefined,
  fingerprints: readonly string[],
): TlsConnectError | undefined {
  if (certificate === undefined) return new TlsConnectError("wrong_certificate", "it showed none");
  const shown = plainFingerprint(certificate.fingerprint256);
  if (!fingerprints.includes(shown)) {
    return new TlsConnectError("wrong_certificate", `it has sha256 ${shown}`);
  }
  return isValidAt(certificate, Date.now()) ? undefined : new TlsConnectError("expired");
}

/**
 * Why a certificate is not taken that the runtime has let pass. Of one that is not of version 3, or not well made, Deno
 * 2.9.6 does not check whether the server has its key, and of the authority only the name.
 */
async function problemOf(
  certificate: X509Certificate | undefined,
  fingerprints: readonly string[] | undefined,
  vouchesFor: Trust["vouchesFor"],
): Promise<TlsConnectError | undefined> {
  const unpinned = fingerprints && pinProblem(certificate, fingerprints);
  if (unpinned !== undefined) return unpinned;
  if (certificate === undefined || (vouchesFor !== undefined && !await vouchesFor(certificate))) {
    return new TlsConnectError("untrusted");
  }
  return isVersion3(certificate.raw) ? undefined : new TlsConnectError("old_certificate");
}

/** Tells of the certificate that a server shows whether one of `roots` issued it, or is it; nothing where the runtime tells. */
async function voucher(roots: readonly X509Certificate[]): Promise<Trust["vouchesFor"]> {
  if (!("Deno" in globalThis)) return undefined;
  const chains = await CertificateChains.load();
  return async (certificate) =>
    roots.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256) ||
    await chains.leadTo(roots, chainOf(certificate), Date.now());
}

/** Whether the other end just went away; what it said last may be lost with a reset. */
function isEnd(error: (Error & { readonly code?: string }) | undefined): boolean {
  return error === undefined || error.code === "EPIPE" || error.code === "ECONNRESET";
}
