import type { Config, DiscoveryConfig, Peer, TlsFiles } from "./config.ts";
import { ConfigError } from "./error.ts";
import { formatListenAddress, isLocalOnly, type ListenAddress, listenAddress } from "./listen_address.ts";
import { readPeerTls, readTls } from "./tls_files.ts";
import { type ConfigSources, SettingReader } from "./setting_reader.ts";
import { SETTINGS } from "./settings.ts";
import { syncTopicsOf } from "./sync_topics.ts";
import { refuseUnavailable } from "./unavailable.ts";

/**
 * The configuration of a daemon: flags before environment variables before defaults. Throws ConfigError for the
 * first setting that is wrong, and for what this version can't do.
 */
export function readConfig(sources: ConfigSources): Config {
  const reader = new SettingReader(sources);
  const tls = readTls(reader);
  const config: Config = {
    listen: readListen(reader, tls),
    webSocketOrigins: reader.value(SETTINGS.wsOrigin),
    dataPath: reader.value(SETTINGS.data),
    storage: reader.value(SETTINGS.storage),
    durability: reader.value(SETTINGS.durability),
    dedupKeys: reader.value(SETTINGS.dedupKeys),
    dedupAgeMs: reader.value(SETTINGS.dedupAgeMs),
    minCompressBytes: reader.value(SETTINGS.minCompressBytes),
    node: {
      tenantId: reader.value(SETTINGS.tenantId),
      blName: reader.value(SETTINGS.blName),
      deviceId: reader.value(SETTINGS.deviceId),
    },
    peers: readPeers(reader),
    peerTokenPath: reader.readable(SETTINGS.peerTokenFile),
    discovery: readDiscovery(reader),
    syncIntervalMs: reader.value(SETTINGS.syncIntervalMs),
    syncBatchLimit: reader.value(SETTINGS.syncBatchLimit),
    tls,
    peerTls: readPeerTls(reader),
    authPath: reader.value(SETTINGS.authFile),
    logLevel: reader.value(SETTINGS.logLevel),
    logFormat: reader.value(SETTINGS.logFormat),
    warnings: [],
  };
  refuseSamePeer(config, reader);
  refusePlainToken(config, reader);
  refuseUnavailable(config, reader);
  return { ...config, warnings: warningsOf(config) };
}

function readPeers(reader: SettingReader): readonly Peer[] {
  const peers = reader.value(SETTINGS.peer);
  const entries = reader.value(SETTINGS.syncTopics);
  return peers.map((peer) => ({ ...peer, ...syncTopicsOf(peer, entries, peers) }));
}

/** Whoever is found must prove something: else any machine of the network could feed us. Throws ConfigError. */
function readDiscovery(reader: SettingReader): DiscoveryConfig | undefined {
  const secretPath = reader.readable(SETTINGS.discoverSecretFile);
  const interfaceAddress = reader.value(SETTINGS.discoverInterface);
  if (!reader.value(SETTINGS.discover)) return undefined;
  const certificates = reader.value(SETTINGS.peerTlsCa) ?? reader.value(SETTINGS.peerTlsFingerprint)[0];
  if (secretPath === undefined && certificates === undefined) {
    throw new ConfigError(
      "contradiction",
      `Cannot use ${reader.describe(SETTINGS.discover)}: nothing would decide who may be a peer; give ` +
        `${SETTINGS.discoverSecretFile.flag}, ${SETTINGS.peerTlsCa.flag} or ${SETTINGS.peerTlsFingerprint.flag}`,
    );
  }
  const topics = syncTopicsOf(undefined, reader.value(SETTINGS.syncTopics), reader.value(SETTINGS.peer));
  return { secretPath, interfaceAddress, ...topics };
}

/** A token is a secret: it is shown to nobody over a wire that others can listen to. */
function refusePlainToken({ peers, peerTokenPath }: Config, reader: SettingReader): void {
  const plain = peers.find(({ secure, address }) => !secure && !isLocalOnly(address));
  if (peerTokenPath === undefined || plain === undefined || reader.value(SETTINGS.insecure)) return;
  throw new ConfigError(
    "insecure",
    `Cannot use ${
      reader.describe(SETTINGS.peerTokenFile)
    }: --peer "${plain.endpoint}" is without TLS, and others could ` +
      `read the token on its way; give https://, or allow it with ${SETTINGS.insecure.flag}`,
  );
}

/** Two entries for one endpoint would pull everything twice, or expect two identities of one daemon. */
function refuseSamePeer(config: Config, reader: SettingReader): void {
  const seen = new Set<string>();
  for (const { endpoint } of config.peers) {
    if (seen.has(endpoint)) {
      throw new ConfigError(
        "contradiction",
        `Cannot use ${reader.describe(SETTINGS.peer)}: "${endpoint}" is given twice; give each peer once`,
      );
    }
    seen.add(endpoint);
  }
}

/** Where to listen; plain text that other machines reach must be asked for twice. */
function readListen(reader: SettingReader, tls: TlsFiles | undefined): readonly ListenAddress[] {
  const requests = reader.value(SETTINGS.listen);
  const allowed = reader.value(SETTINGS.insecure);
  return requests.map((request) => {
    const listen = listenAddress(request, tls !== undefined);
    const subject = `Cannot use ${reader.describe(SETTINGS.listen)} "${formatListenAddress(listen)}"`;
    if (listen.secure && tls === undefined) {
      const { tlsCert, tlsKey } = SETTINGS;
      throw new ConfigError(
        "contradiction",
        `${subject}: there is no certificate; give ${tlsCert.flag} and ${tlsKey.flag}`,
      );
    }
    if (listen.carrier === "quic" && tls?.clientCaPath !== undefined) {
      throw new ConfigError(
        "contradiction",
        `${subject}: QUIC can't ask for client certificates; leave out ${SETTINGS.tlsClientCa.flag}, or listen on ` +
          "https:// or wss://",
      );
    }
    if (!listen.secure && !isLocalOnly(listen.address) && !allowed) {
      const scheme = listen.carrier === "websocket" ? "wss:// with " : "";
      throw new ConfigError(
        "insecure",
        `${subject}: other machines reach it, in plain text; give ${scheme}--tls-cert and --tls-key, listen on ` +
          `127.0.0.1 or a unix socket, or allow it with ${SETTINGS.insecure.flag}`,
      );
    }
    return listen;
  });
}

function warningsOf(config: Config): readonly string[] {
  const unused = config.tls !== undefined && !config.listen.some(({ secure }) => secure)
    ? ["--tls-cert is unused: no address of --listen speaks TLS"]
    : [];
  const pageless = config.webSocketOrigins.length > 0 &&
      !config.listen.some(({ carrier }) => carrier === "websocket")
    ? ["--ws-origin is unused: no address of --listen begins with ws:// or wss://"]
    : [];
  const plain = config.listen.filter(({ secure, address }) => !secure && !isLocalOnly(address)).map((
    listen,
  ) =>
    `--listen ${formatListenAddress(listen)} is reachable from other machines, without TLS: ` +
    (config.authPath === undefined
      ? "anyone there can read and write every topic"
      : "anyone on the way can read tokens and messages")
  );
  const open = config.listen.filter(({ secure, address }) =>
    secure && !isLocalOnly(address) && config.tls?.clientCaPath === undefined && config.authPath === undefined
  ).map((listen) =>
    `--listen ${
      formatListenAddress(listen)
    } is reachable from other machines, and asks nobody who they are: ` +
    "give --auth-file or --tls-client-ca"
  );
  const unpinned = config.peers.filter(({ identity }) => identity === undefined).map(({ endpoint }) =>
    `--peer ${endpoint} names no identity: whoever answers there is copied from; give ${endpoint}=tenant/bl/device`
  );
  const peerTls = config.peerTls !== undefined && config.discovery === undefined &&
      !config.peers.some(({ secure }) => secure)
    ? [
      "--peer-tls-ca, --peer-tls-fingerprint and --peer-tls-cert are unused: no --peer begins with https://, wss:// or quic://",
    ]
    : [];
  return [...unused, ...pageless, ...plain, ...open, ...unpinned, ...peerTls];
}
