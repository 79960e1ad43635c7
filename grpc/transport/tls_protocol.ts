/** What a TLS connection carries, as ALPN calls it (RFC 7301): HTTP/2, or HTTP/1.1, which a WebSocket begins with. */
export type TlsProtocol = "h2" | "http/1.1";

/** Whether what a handshake agreed on is the protocol. HTTP/1.1 is also what is spoken where nobody asked (RFC 7301). */
export function isAgreed(protocol: TlsProtocol, alpn: string | false | null | undefined): boolean {
  return alpn === protocol || (protocol === "http/1.1" && !alpn);
}
