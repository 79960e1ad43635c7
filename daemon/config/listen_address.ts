import { formatNetworkAddress, type NetworkAddress, parseNetworkAddress } from "./network_address.ts";

/** The schemes that may stand before host and port. */
const SCHEMES = ["http", "https", "ws", "wss", "quic"] as const;

type Scheme = typeof SCHEMES[number];

/** A place to listen on, as it was asked for. */
export interface ListenRequest {
  readonly address: NetworkAddress;
  /** What it must speak; undefined leaves TLS to whether there is a certificate. */
  readonly scheme: Scheme | undefined;
}

/** A place to listen on. */
export interface ListenAddress {
  readonly address: NetworkAddress;
  /** Whether it speaks TLS. */
  readonly secure: boolean;
  /** What carries the clients' HTTP/2: the connection itself, a WebSocket in it, or a stream of QUIC (over UDP). */
  readonly carrier: "stream" | "websocket" | "quic";
}

/** What an address to listen on looks like, for error texts. */
export const LISTEN_FORMS =
  "host:port, [v6]:port, http://, https://, ws://, wss:// or quic://host:port, or unix:/path";

/** Reads {@linkcode LISTEN_FORMS}; a text says what is wrong with it. */
export function parseListenRequest(text: string): ListenRequest | string {
  const scheme = SCHEMES.find((candidate) => text.startsWith(`${candidate}://`));
  const address = parseNetworkAddress(scheme === undefined ? text : text.slice(`${scheme}://`.length));
  if (typeof address === "string") return address;
  if (scheme !== undefined && address.kind === "unix") return "a unix socket has no scheme";
  return { address, scheme };
}

/** What becomes of a request where there is a certificate, or none. */
export function listenAddress({ address, scheme }: ListenRequest, hasCertificate: boolean): ListenAddress {
  if (address.kind === "unix") return { address, secure: false, carrier: "stream" };
  switch (scheme) {
    case undefined:
      return { address, secure: hasCertificate, carrier: "stream" };
    case "http":
    case "https":
      return { address, secure: scheme === "https", carrier: "stream" };
    case "ws":
    case "wss":
      return { address, secure: scheme === "wss", carrier: "websocket" };
    case "quic":
      return { address, secure: true, carrier: "quic" };
  }
}

/** The address for people, with the scheme where it is not plain HTTP/2. */
export function formatListenAddress({ address, secure, carrier }: ListenAddress): string {
  const bare = formatNetworkAddress(address);
  switch (carrier) {
    case "stream":
      return secure ? `https://${bare}` : bare;
    case "websocket":
      return secure ? `wss://${bare}` : `ws://${bare}`;
    case "quic":
      return `quic://${bare}`;
  }
}

/** Whether only this machine reaches the address. */
export function isLocalOnly(address: NetworkAddress): boolean {
  if (address.kind === "unix") return true;
  const { hostname } = address;
  return hostname === "localhost" || hostname === "::1" || /^127(\.[0-9]{1,3}){3}$/.test(hostname);
}
