import type { TlsClientOptions } from "@msgbus/grpc/tls";
import { parseTarget } from "@msgbus/sdk/target";
import { formatNode } from "./bus/names.ts";
import { BusError } from "./bus/error.ts";
import { systemTimer } from "./bus/timer.ts";
import type { Bus } from "./bus/bus.ts";
import type { Config, Peer, PeerTls } from "./config/config.ts";
import { ConfigError } from "./config/error.ts";
import type { Logger, LogProperties } from "./log.ts";
import { LogGate } from "./log_gate.ts";
import { GrpcPeerLink } from "./sync/grpc_peer_link.ts";
import { patientConnect } from "./sync/patient_connect.ts";
import { PeerError } from "./sync/peer_link.ts";
import type { SyncEvents } from "./sync/peer_session.ts";
import { TopicFilter } from "./sync/topic_filter.ts";
import { Synchronizer } from "./sync/synchronizer.ts";

/**
 * The synchronization of a daemon, not yet following anybody. `onFailed` hears of each peer that could not be followed any
 * more. Throws ConfigError for a pattern that is none.
 */
export function openSynchronizer(
  bus: Bus,
  config: Config,
  log: Logger,
  onFailed: (peer: string) => void,
): Synchronizer {
  for (const { include, exclude } of config.peers) checkPatterns(include, exclude);
  return new Synchronizer({
    bus,
    poll: { intervalMs: config.syncIntervalMs, batchLimit: config.syncBatchLimit },
    events: eventLog(log, onFailed),
    timer: systemTimer,
    now: Date.now,
    random: Math.random,
  });
}

/** Begins to follow the peers of the configuration. Rejects with BusError when a pattern of topics is none. */
export async function followPeers(synchronizer: Synchronizer, config: Config): Promise<void> {
  for (const peer of config.peers) {
    const { endpoint, identity, include, exclude } = peer;
    await synchronizer.add({
      peer: endpoint,
      dial: () => dialPeer(peer, config),
      identity,
      include,
      exclude,
    });
  }
}

function checkPatterns(include: readonly string[], exclude: readonly string[]): void {
  try {
    new TopicFilter(include, exclude);
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    throw new ConfigError("invalid_value", `Cannot use --sync-topics: ${error.message}`);
  }
}

/** The way to a peer. Reads certificates and token anew, so that what was renewed is used. Rejects with PeerError. */
export async function dialPeer(
  peer: Pick<Peer, "endpoint" | "secure">,
  { peerTls, peerTokenPath }: Pick<Config, "peerTls" | "peerTokenPath">,
): Promise<GrpcPeerLink> {
  try {
    const tls = peer.secure && peerTls !== undefined ? await readPeerTls(peerTls) : undefined;
    const { connect, authority, scheme } = parseTarget(peer.endpoint, tls);
    const token = peerTokenPath === undefined ? undefined : (await Deno.readTextFile(peerTokenPath)).trim();
    return new GrpcPeerLink({ connect: patientConnect(connect, systemTimer), authority, scheme, token });
  } catch (error) {
    throw new PeerError("refused", error instanceof Error ? error.message : String(error), { cause: error });
  }
}

async function readPeerTls(
  { caPath, fingerprints, certPath, keyPath, domain }: PeerTls,
): Promise<TlsClientOptions> {
  return {
    ...caPath !== undefined && { ca: await Deno.readTextFile(caPath) },
    ...fingerprints.length > 0 && { fingerprints },
    ...certPath !== undefined && { cert: await Deno.readTextFile(certPath) },
    ...keyPath !== undefined && { key: await Deno.readTextFile(keyPath) },
    ...domain !== undefined && { serverName: domain },
  };
}

/** Records of single logs that are written at once; later ones are counted, and one in a second is written. */
const LOG_RECORD_BURST = 100;
const LOG_RECORD_INTERVAL_MS = 1_000;

/** A peer that can't be reached fails every second: only the first time, and each new reason, is worth a line. */
function eventLog(log: Logger, onFailed: (peer: string) => void): SyncEvents {
  const reasons = new Map<string, string>();
  // A peer may have any number of logs that fail.
  const gate = new LogGate(LOG_RECORD_BURST, LOG_RECORD_INTERVAL_MS);
  const warnOfLog = (text: string, properties: LogProperties) => {
    const omitted = gate.pass();
    if (omitted === undefined) return;
    if (omitted === 0) log.warn(text, properties);
    else log.warn(`${text} ({omitted} such records before it were not written)`, { ...properties, omitted });
  };
  return {
    connected(peer, { node }, mode) {
      reasons.delete(peer);
      log.info("peer {peer}: following {node} ({mode})", { peer, node: formatNode(node), mode });
    },
    failed(peer, reason, retryMs) {
      const level = reasons.get(peer) === reason ? "debug" : "warn";
      reasons.set(peer, reason);
      const record = { peer, reason, retryMs: Math.round(retryMs) };
      onFailed(peer);
      log[level]("peer {peer}: {reason}; trying again, the next time in {retryMs} ms", record);
    },
    forked(peer, topic, origin, reason) {
      warnOfLog(
        'peer {peer}: "{topic}" of {origin} is forked, and not copied from this peer until `msgbusd sync resolve` decides: ' +
          "{reason}",
        { peer, topic, origin: formatNode(origin), reason },
      );
    },
    logFailed(peer, topic, origin, reason) {
      warnOfLog('peer {peer}: "{topic}" of {origin} can\'t be copied, all else goes on: {reason}', {
        peer,
        topic,
        origin: formatNode(origin),
        reason,
      });
    },
  };
}
