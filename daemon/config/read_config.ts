import type { Config } from "./config.ts";
import { ConfigError } from "./error.ts";
import { formatListenAddress, isLocalOnly } from "./listen_address.ts";
import { readPeerTls, readTls } from "./tls_files.ts";
import { type ConfigSources, SettingReader } from "./setting_reader.ts";
import { SETTINGS } from "./settings.ts";
import { refuseUnavailable } from "./unavailable.ts";

/**
 * The configuration of a daemon: flags before environment variables before defaults. Throws ConfigError for the
 * first setting that is wrong, and for what this version can't do.
 */
export function readConfig(sources: ConfigSources): Config {
  const reader = new SettingReader(sources);
  const config: Config = {
    listen: reader.value(SETTINGS.listen),
    dataPath: reader.value(SETTINGS.data),
    storage: reader.value(SETTINGS.storage),
    durability: reader.value(SETTINGS.durability),
    node: {
      tenantId: reader.value(SETTINGS.tenantId),
      blName: reader.value(SETTINGS.blName),
      deviceId: reader.value(SETTINGS.deviceId),
    },
    peers: reader.value(SETTINGS.peer),
    syncIntervalMs: reader.value(SETTINGS.syncIntervalMs),
    syncBatchLimit: reader.value(SETTINGS.syncBatchLimit),
    tls: readTls(reader),
    peerTls: readPeerTls(reader),
    logLevel: reader.value(SETTINGS.logLevel),
    logFormat: reader.value(SETTINGS.logFormat),
    warnings: [],
  };
  refuseSamePeer(config, reader);
  refuseUnavailable(config, reader);
  return { ...config, warnings: warningsOf(config) };
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

function warningsOf(config: Config): readonly string[] {
  if (config.tls !== undefined) return [];
  return config.listen.filter((address) => !isLocalOnly(address)).map((address) =>
    `--listen ${formatListenAddress(address)} is reachable from other machines, without TLS: ` +
    `anyone there can read and write every topic; listen on 127.0.0.1 or a unix socket, or guard the network`
  );
}
