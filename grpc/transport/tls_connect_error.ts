import type { TlsProtocol } from "./tls_protocol.ts";

/** Why no connection came about where TLS was wanted or needed. */
export type TlsConnectErrorCode =
  /** The server's certificate is of no trusted authority. */
  | "untrusted"
  /** It is not valid yet, or no longer. */
  | "expired"
  /** It is for other names. */
  | "wrong_name"
  /** It is none of those whose fingerprints were given. */
  | "wrong_certificate"
  /** It is not of X.509 version 3. */
  | "old_certificate"
  /** What the server sends is no TLS. */
  | "no_tls"
  /** The server speaks TLS, and was not asked in TLS. */
  | "tls_only"
  /** The server demands a client certificate; or it ended the connection without a word, and none was shown. */
  | "client_certificate_required"
  /** The server refused the client certificate; or it ended the connection without a word after it was shown. */
  | "client_certificate_refused"
  /** The server has no HTTP/2 (ALPN "h2"). */
  | "no_http2"
  /** The server has no HTTP/1.1 (ALPN "http/1.1"), and so no WebSocket. */
  | "no_http1"
  /** Anything else: nobody listens, no route, nothing in common. */
  | "failed";

const TEXTS = {
  untrusted: "no trusted authority vouches for the server's certificate; give its authority as one to trust",
  expired: "the server's certificate is not valid now: expired, or not valid yet",
  wrong_name: "the server's certificate is for another name",
  wrong_certificate: "the server's certificate is none of those whose fingerprints were given",
  old_certificate: "the server's certificate is not of X.509 version 3, as TLS demands; make it a new one",
  no_tls: "the server does not speak TLS on this port",
  tls_only: "the server speaks only TLS on this port; connect with TLS",
  client_certificate_required: "the server demands a client certificate; give one and its key",
  client_certificate_refused: "the server refused the client certificate",
  no_http2: 'the server does not offer HTTP/2 (ALPN "h2")',
  no_http1: 'the server does not offer HTTP/1.1 (ALPN "http/1.1"), and so no WebSocket',
  failed: "the connection failed",
} as const satisfies Record<TlsConnectErrorCode, string>;

const CODE_OF: ReadonlyMap<string, TlsConnectErrorCode> = new Map([
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "untrusted"],
  ["UNABLE_TO_GET_ISSUER_CERT", "untrusted"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "untrusted"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "untrusted"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "untrusted"],
  ["CERT_UNTRUSTED", "untrusted"],
  ["CERT_HAS_EXPIRED", "expired"],
  ["CERT_NOT_YET_VALID", "expired"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "wrong_name"],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "no_tls"],
  ["ERR_SSL_PACKET_LENGTH_TOO_LONG", "no_tls"],
  ["ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "client_certificate_required"],
  ["ERR_SSL_TLSV1_ALERT_UNKNOWN_CA", "client_certificate_refused"],
  ["ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE", "client_certificate_refused"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", "client_certificate_refused"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED", "client_certificate_refused"],
  ["ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN", "client_certificate_refused"],
  ["ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "client_certificate_refused"],
  ["ERR_SSL_NO_APPLICATION_PROTOCOL", "no_http2"],
  ["ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "no_http2"],
]);

/** No connection, and why. */
export class TlsConnectError extends Error {
  /** Always "TlsConnectError". */
  override readonly name = "TlsConnectError";
  /** What kind of error it is. */
  readonly code: TlsConnectErrorCode;

  /** Makes an error with the text of its code, and what else there is to say. */
  constructor(code: TlsConnectErrorCode, detail?: string, options?: ErrorOptions) {
    super(detail === undefined ? TEXTS[code] : `${TEXTS[code]}: ${detail}`, options);
    this.code = code;
  }

  /** The error for one of the runtime's, in a connection to `name` that wanted `protocol`. */
  static from(
    error: Error & { readonly code?: string },
    name: string,
    protocol: TlsProtocol = "h2",
  ): TlsConnectError {
    const found = codeOf(error);
    const code = found === "no_http2" && protocol === "http/1.1" ? "no_http1" : found;
    return new TlsConnectError(code, detailOf(code, error, name), { cause: error });
  }
}

function codeOf({ code, message }: Error & { readonly code?: string }): TlsConnectErrorCode {
  const known = CODE_OF.get(code ?? "");
  // One runtime has a single code for what it does not know: only its text tells.
  if (/alert: CertificateRequired/.test(message)) return "client_certificate_required";
  if (/alert: NoApplicationProtocol/.test(message)) return "no_http2";
  if (/alert: (AccessDenied|UnsupportedCertificate)/.test(message)) return "client_certificate_refused";
  return known ?? "failed";
}

function detailOf(code: TlsConnectErrorCode, { message }: Error, name: string): string | undefined {
  switch (code) {
    case "wrong_name":
      return `${JSON.stringify(name)} is wanted (${message})`;
    case "failed":
    case "client_certificate_refused":
      return message;
    default:
      return undefined;
  }
}
