import type { TlsProtocol } from "./tls_protocol.ts";

/** Why a connection did not become one. */
export type TlsRefusalCode =
  /** What came is no TLS. */
  | "no_tls"
  /** The client showed no certificate where one is demanded. */
  | "no_client_certificate"
  /** No authority of ours vouches for the client's certificate. */
  | "untrusted_client_certificate"
  /** The client's certificate is not valid yet, or no longer. */
  | "expired_client_certificate"
  /** The client's certificate is damaged, revoked, or not for clients. */
  | "unusable_client_certificate"
  /** The client does not ask for HTTP/2 (ALPN "h2"; RFC 9113, 3.2). */
  | "no_http2"
  /** The client does not offer HTTP/1.1 (ALPN "http/1.1"), which a WebSocket begins with (RFC 6455, 4.1). */
  | "no_http1"
  /** The client refused our certificate: it does not know its authority, or takes it for another's, or for expired. */
  | "refused_by_client"
  /** No version, cipher or key exchange in common, or a broken message. */
  | "incompatible"
  /** The client took too long. */
  | "timeout"
  /** Too many handshakes were under way, and this was the oldest. */
  | "too_many"
  /** The client went away in between, as port scanners and health checks do. */
  | "gone";

/** A connection that was refused before it carried a byte for the application. */
export interface TlsRefusal {
  /** What kind of reason it is. */
  readonly code: TlsRefusalCode;
  /** The other end: "127.0.0.1:40000". */
  readonly remote: string;
  /** The reason for people, one line. */
  readonly reason: string;
}

const REASONS = {
  no_tls: "it does not speak TLS (plain text on a TLS port?)",
  no_client_certificate: "a client certificate is demanded and none was shown",
  untrusted_client_certificate: "no authority that is trusted here vouches for the client certificate",
  expired_client_certificate: "the client certificate is not valid now: expired, or not valid yet",
  unusable_client_certificate: "the client certificate can't be used",
  no_http2: 'it does not ask for HTTP/2 (ALPN "h2")',
  no_http1: 'it does not ask for HTTP/1.1 (ALPN "http/1.1")',
  refused_by_client: "it refused the server's certificate",
  incompatible: "its handshake can't be understood, or has nothing in common with the server's",
  timeout: "it did not finish the handshake in time",
  too_many: "too many handshakes were under way and its was the oldest",
  gone: "it went away during the handshake",
} as const satisfies Record<TlsRefusalCode, string>;

/** The refusal of a client that does not ask for the listener's protocol. */
export const REFUSAL_WITHOUT = {
  "h2": "no_http2",
  "http/1.1": "no_http1",
} as const satisfies Record<TlsProtocol, TlsRefusalCode>;

/** A refusal with the words for its code; `detail` is what the runtime says. */
export function tlsRefusal(code: TlsRefusalCode, remote: string, detail?: string): TlsRefusal {
  const reason = REASONS[code];
  return {
    code,
    remote,
    reason: detail === undefined ? reason : `${reason}: ${detail.replace(/\s+/g, " ")}`,
  };
}

/** What the runtime reports of a failed handshake. */
export interface HandshakeFailure {
  readonly code?: string;
  readonly message: string;
}

/** Alerts that say that a certificate was not liked (RFC 8446, 6.2); the last one, that its signature is not its authority's. */
const CERTIFICATE_ALERTS: ReadonlySet<string> = new Set([
  "BadCertificate",
  "UnsupportedCertificate",
  "CertificateRevoked",
  "CertificateExpired",
  "CertificateUnknown",
  "UnknownCA",
  "DecryptError",
]);

/** The refusal for what the runtime reports of a handshake in which `protocol` was wanted. */
export function refusalOf(remote: string, failure: HandshakeFailure, protocol: TlsProtocol): TlsRefusal {
  switch (failure.code) {
    case "ECONNRESET":
    case "EPIPE":
      return tlsRefusal("gone", remote);
    case "ERR_SSL_NO_APPLICATION_PROTOCOL":
      return tlsRefusal(REFUSAL_WITHOUT[protocol], remote);
  }
  // The runtime has one code for many alerts and for all broken messages: only its text tells them apart.
  const alert = /fatal alert: (\w+)/.exec(failure.message)?.[1];
  if (alert !== undefined) {
    const code = CERTIFICATE_ALERTS.has(alert) ? "refused_by_client" : "incompatible";
    return tlsRefusal(code, remote, `alert ${alert}`);
  }
  if (/InvalidContentType/.test(failure.message)) return tlsRefusal("no_tls", remote);
  return tlsRefusal("incompatible", remote, failure.message);
}
