import type { NodeName } from "./config.ts";
import { ADDRESS_FORMS, type NetworkAddress, parseNetworkAddress } from "./network_address.ts";

/** A daemon to pull from. */
export interface PeerAddress {
  /** The endpoint as it was given, without the identity: what the peer is called in logs and sync states. */
  readonly endpoint: string;
  /** Where it listens. */
  readonly address: NetworkAddress;
  /** Whether the endpoint asks for TLS, by "https://", "wss://" or "quic://". */
  readonly secure: boolean;
  /** The node it must be; anyone where undefined. */
  readonly identity: NodeName | undefined;
}

/** What a peer looks like, for error texts. */
export const PEER_FORMS =
  "endpoint[=tenant/bl/device], with host:port, http://host:port, https://host:port, quic://host:port, ws://host, " +
  "wss://host or unix:/path as endpoint";

const SECURE_SCHEMES: readonly string[] = ["https", "quic", "wss"];
const PLAIN_PORT = 80;
const TLS_PORT = 443;

/** Reads `endpoint[=tenant/bl/device]`; a text says what is wrong with it. The endpoint ends at the first "=". */
export function parsePeerAddress(text: string): PeerAddress | string {
  const cut = text.indexOf("=");
  const endpoint = cut < 0 ? text : text.slice(0, cut);
  const scheme = /^(https?|quic|wss?):\/\//.exec(endpoint)?.[1];
  const address = scheme === "ws" || scheme === "wss"
    ? parseWebSocketUrl(endpoint)
    : parseNetworkAddress(endpoint.slice(scheme === undefined ? 0 : scheme.length + 3).replace(/\/$/, ""));
  if (typeof address === "string") return address;
  if (address.kind === "tcp" && address.port === 0) return "the port is 0";
  if (address.kind === "unix" && scheme !== undefined) return `it is not ${ADDRESS_FORMS}`;
  const secure = scheme !== undefined && SECURE_SCHEMES.includes(scheme);
  if (cut < 0) return { endpoint, address, secure, identity: undefined };
  const [tenantId = "", blName = "", deviceId = "", ...more] = text.slice(cut + 1).split("/");
  if ([tenantId, blName, deviceId].some((part) => part.trim() === "") || more.length > 0) {
    return "the identity is not tenant/bl/device";
  }
  return { endpoint, address, secure, identity: { tenantId, blName, deviceId } };
}

/** A port may be left out here, and there may be a path, which a proxy wants. */
function parseWebSocketUrl(endpoint: string): NetworkAddress | string {
  if (!URL.canParse(endpoint)) return "it is no URL";
  const { protocol, hostname, port, username, password, hash } = new URL(endpoint);
  if (username !== "" || password !== "" || hash !== "") return "it has more than a host, a port and a path";
  const number = port === "" ? protocol === "wss:" ? TLS_PORT : PLAIN_PORT : Number(port);
  return { kind: "tcp", hostname: hostname.replace(/^\[|\]$/g, ""), port: number };
}
