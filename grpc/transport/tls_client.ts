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
   * signed itself. On Deno their keys must be RSA, Ed25519, or ECDSA with P-256 or P-384.
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
  let checked: Promise<void> | undefined;
  return async (signal) => {
    await (checked ??= checkCredentials(options));
    return await shakeHands(address, options, protocol, signal);
  };
}

/** Some runtimes take an unusable text as none at all. */
async function checkCredentials({ ca, fingerprints, cert, key }: TlsClientOptions): Promise<void> {
  if (fingerprints !== undefined) {
    readFingerprints(fingerprints);
    requireNoAuthorityBeside(ca);
  }
  if (ca !== undefined) await readCertificates("ca", ca);
  if (cert === undefined && key === undefined) return;
  if (cert === undefined) throw new TlsCredentialsError("cert", "it is missing beside the key");
  if (key === undefined) throw new TlsCredentialsError("key", "it is missing beside the certificate");
  const [leaf] = await readCertificates("cert", cert);
  await requireKeyOf(leaf, key);
}

async function shakeHands(
  address: TcpAddress,
  { ca, fingerprints, cert, key, serverName }: TlsClientOptions,
  protocol: TlsProtocol,
  signal: AbortSignal | undefined,
): Promise<ByteStream> {
  const [{ checkServerIdentity, connect }, { isIP }] = await Promise.all([
    import("node:tls"),
    import("node:net"),
  ]);
  const peer = `tls:${formatTcpAddress(address)}`;
  const name = serverName ?? address.hostname;
  const pinned = fingerprints === undefined ? undefined : readFingerprints(fingerprints);
  const isVouchedFor = ca === undefined || !("Deno" in globalThis) ? undefined : await lookFor(ca);
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
      signal?.removeEventListener("abort", abort);
      const certificate = socket.getPeerX509Certificate();
      const problem = (pinned && pinProblem(certificate, pinned)) ?? problemOf(certificate, isVouchedFor);
      if (problem !== undefined) {
        socket.destroy();
        return reject(problem);
      }
      if (!isAgreed(protocol, socket.alpnProtocol)) {
        socket.destroy();
        return reject(new TlsConnectError(protocol === "h2" ? "no_http2" : "no_http1"));
      }
      socket.setNoDelay(true);
      // With TLS 1.3 a server judges our certificate after the handshake is done for us.
      const ended = cert === undefined ? "client_certificate_required" : "client_certificate_refused";
      resolve(
        new NodeByteStream(socket, peer, {
          explain: (error, silent) =>
            silent && isEnd(error)
              ? new TlsConnectError(ended, "so it seems, it ended the connection without a word", {
                cause: error,
              })
              : error && TlsConnectError.from(error, name, protocol),
        }),
      );
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
function problemOf(
  certificate: X509Certificate | undefined,
  isVouchedFor: ((certificate: X509Certificate) => boolean) | undefined,
): TlsConnectError | undefined {
  if (certificate === undefined || isVouchedFor?.(certificate) === false) {
    return new TlsConnectError("untrusted");
  }
  return isVersion3(certificate.raw) ? undefined : new TlsConnectError("old_certificate");
}

/** Tells of the certificate that a server shows whether one of those in a PEM text issued it, or is it. */
async function lookFor(ca: string): Promise<(certificate: X509Certificate) => boolean> {
  const [roots, chains] = await Promise.all([readCertificates("ca", ca), CertificateChains.load()]);
  return (certificate) =>
    roots.some(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256) ||
    chains.leadTo(roots, chainOf(certificate), Date.now());
}

/** Whether the other end just went away; what it said last may be lost with a reset. */
function isEnd(error: (Error & { readonly code?: string }) | undefined): boolean {
  return error === undefined || error.code === "EPIPE" || error.code === "ECONNRESET";
}
