import type { NodeName } from "./config.ts";
import { type NetworkAddress, parseNetworkAddress } from "./network_address.ts";

/** A daemon to pull from. */
export interface PeerAddress {
  /** The endpoint as it was given, without the identity: what the peer is called in logs and sync states. */
  readonly endpoint: string;
  /** Where it listens. */
  readonly address: NetworkAddress;
  /** Whether the endpoint asks for TLS, by "https://". */
  readonly secure: boolean;
  /** The node it must be; anyone where undefined. */
  readonly identity: NodeName | undefined;
}

/** What a peer looks like, for error texts. */
export const PEER_FORMS =
  "endpoint[=tenant/bl/device], with host:port, http://host:port or unix:/path as endpoint";

/** Reads `endpoint[=tenant/bl/device]`; a text says what is wrong with it. The endpoint ends at the first "=". */
export function parsePeerAddress(text: string): PeerAddress | string {
  const cut = text.indexOf("=");
  const endpoint = cut < 0 ? text : text.slice(0, cut);
  const scheme = /^https?:\/\//.exec(endpoint)?.[0] ?? "";
  const address = parseNetworkAddress(endpoint.slice(scheme.length).replace(/\/$/, ""));
  if (typeof address === "string") return address;
  if (address.kind === "tcp" && address.port === 0) return "the port is 0";
  const secure = scheme === "https://";
  if (cut < 0) return { endpoint, address, secure, identity: undefined };
  const [tenantId = "", blName = "", deviceId = "", ...more] = text.slice(cut + 1).split("/");
  if ([tenantId, blName, deviceId].some((part) => part.trim() === "") || more.length > 0) {
    return "the identity is not tenant/bl/device";
  }
  return { endpoint, address, secure, identity: { tenantId, blName, deviceId } };
}
