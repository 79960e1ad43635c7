import type { Bus } from "./bus/bus.ts";
import { formatNode, isSameNode } from "./bus/names.ts";
import { systemTimer } from "./bus/timer.ts";
import type { Config, DiscoveryConfig } from "./config/config.ts";
import { ConfigError } from "./config/error.ts";
import { isLocalOnly } from "./config/listen_address.ts";
import type { Announcement } from "./discovery/announcement.ts";
import { Discovery, type FoundPeer } from "./discovery/discovery.ts";
import { openMulticast } from "./discovery/multicast.ts";
import type { Logger } from "./log.ts";
import { dialPeer } from "./peers.ts";
import type { GrpcPeerLink } from "./sync/grpc_peer_link.ts";
import { SharedSecret } from "./sync/shared_secret.ts";
import type { Synchronizer } from "./sync/synchronizer.ts";

/** A secret that can be guessed decides nothing. */
const MIN_SECRET_BYTES = 16;

/** The secret of a file. Throws ConfigError when it is too short or can't be read. */
export async function readSharedSecret(path: string): Promise<SharedSecret> {
  let text: string;
  try {
    text = (await Deno.readTextFile(path)).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ConfigError("unreadable_file", `Cannot read --discover-secret-file "${path}": ${reason}`);
  }
  const bytes = new TextEncoder().encode(text).length;
  if (bytes >= MIN_SECRET_BYTES) return await SharedSecret.of(text);
  throw new ConfigError(
    "unusable_file",
    `Cannot use --discover-secret-file "${path}": the secret has ${bytes} bytes; give at least ${MIN_SECRET_BYTES}, such ` +
      "as the output of `openssl rand -hex 32`",
  );
}

/** What finding peers works with. */
export interface DiscoveredPeersOptions {
  readonly discovery: DiscoveryConfig;
  readonly config: Config;
  readonly secret: SharedSecret | undefined;
  /** Where the daemon listens, in the order of the configuration. */
  readonly addresses: readonly string[];
  readonly bus: Bus;
  readonly synchronizer: Synchronizer;
  readonly log: Logger;
}

/** Follows the daemons that are found on the local network, for as long as they are there. */
export class DiscoveredPeers {
  readonly #options: DiscoveredPeersOptions;
  readonly #gone = new Set<string>();
  #discovery: Discovery | undefined;

  private constructor(options: DiscoveredPeersOptions) {
    this.#options = options;
  }

  /** Begins to announce and to look. A network without multicast is logged, and everything else goes on. */
  static async start(options: DiscoveredPeersOptions): Promise<DiscoveredPeers> {
    const peers = new DiscoveredPeers(options);
    const { discovery, bus, log } = options;
    const announcement = announcementOf(options);
    if (announcement === undefined) {
      log.warn(
        "discovery: this daemon is not announced, because no --listen address is reached from other machines",
      );
    }
    try {
      const multicast = await openMulticast(discovery.interfaceAddress);
      peers.#discovery = new Discovery({
        announcement,
        node: bus.node,
        multicast,
        events: { found: (peer) => peers.#found(peer), lost: (peer) => peers.#lost(peer) },
        timer: systemTimer,
      });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.error("discovery is off: there is no multicast on {address}: {reason}", {
        address: discovery.interfaceAddress,
        reason,
      });
    }
    return peers;
  }

  /** To be told when following a peer has failed: one that is gone is not tried again. */
  failed(peer: string): void {
    if (this.#gone.delete(peer)) void this.#options.synchronizer.remove(peer);
  }

  /** Whether a "host:port" is where others find this daemon. */
  isOwnAddress(address: string): boolean {
    return this.#discovery?.ownEndpoint === address;
  }

  /** Says goodbye. */
  async close(): Promise<void> {
    await this.#discovery?.close();
  }

  #found({ node, endpoint }: FoundPeer): void {
    const { config, discovery, secret, synchronizer, log } = this.#options;
    this.#gone.delete(endpoint);
    const secure = isSecure(endpoint);
    // Without a secret it is the certificate that decides, and plain text has none.
    if (secret === undefined && !secure) return;
    const configured = config.peers.some((peer) =>
      peer.endpoint === endpoint || peer.identity !== undefined && isSameNode(peer.identity, node)
    );
    if (configured) return;
    log.info("discovery: found {node} at {endpoint}", { node: formatNode(node), endpoint });
    const { include, exclude } = discovery;
    const dial = () => dialFound(endpoint, config);
    const proof = secret && { secret, address: endpoint.replace(/^https?:\/\//, "") };
    void synchronizer.add({ peer: endpoint, dial, identity: node, include, exclude, proof }).catch((error) =>
      log.error("discovery: {endpoint} can't be followed: {error}", { endpoint, error: String(error) })
    );
  }

  #lost({ endpoint }: FoundPeer): void {
    // Announcements get lost where connections hold: it is left when the connection fails.
    this.#gone.add(endpoint);
    const { synchronizer } = this.#options;
    if (synchronizer.peers().some(({ peer, mode }) => peer === endpoint && mode === "none")) {
      this.failed(endpoint);
    }
  }
}

/**
 * The way to a daemon that was found. Anybody may announce anything: only who has shown a certificate is shown the token.
 * Rejects with PeerError.
 */
export async function dialFound(
  endpoint: string,
  config: Pick<Config, "peerTls" | "peerTokenPath">,
): Promise<GrpcPeerLink> {
  const secure = isSecure(endpoint);
  return await dialPeer({ endpoint, secure }, secure ? config : { ...config, peerTokenPath: undefined });
}

function isSecure(endpoint: string): boolean {
  return endpoint.startsWith("https:");
}

/** What to say of this daemon: of its first address that others reach, with TLS before without. */
function announcementOf(
  { config, discovery, addresses, bus }: DiscoveredPeersOptions,
): Announcement | undefined {
  const local = discovery.interfaceAddress.startsWith("127.");
  const reached = config.listen.map((listen, at) => ({ ...listen, port: portOf(addresses[at]) })).filter((
    { address, carrier },
  ) => address.kind === "tcp" && carrier === "stream" && (local || !isLocalOnly(address)));
  const best = reached.find(({ secure }) => secure) ?? reached[0];
  if (best === undefined) return undefined;
  return { node: bus.node, incarnation: bus.incarnation, port: best.port, secure: best.secure };
}

function portOf(address: string | undefined): number {
  return Number(/:([0-9]+)$/.exec(address ?? "")?.[1] ?? 0);
}
