import type { PeerTls, TlsFiles } from "./config.ts";
import { ConfigError } from "./error.ts";
import type { Setting } from "./setting.ts";
import type { SettingReader } from "./setting_reader.ts";
import { SETTINGS } from "./settings.ts";

/** TLS for clients, or undefined where no flag asks for it. Throws ConfigError. */
export function readTls(reader: SettingReader): TlsFiles | undefined {
  const certPath = reader.readable(SETTINGS.tlsCert);
  const keyPath = reader.readable(SETTINGS.tlsKey);
  const clientCaPath = reader.readable(SETTINGS.tlsClientCa);
  requirePair(reader, SETTINGS.tlsCert, certPath, SETTINGS.tlsKey, keyPath);
  if (certPath !== undefined && keyPath !== undefined) return { certPath, keyPath, clientCaPath };
  if (clientCaPath !== undefined) throw missing(reader, SETTINGS.tlsClientCa, SETTINGS.tlsCert);
  return undefined;
}

/** TLS to peers, or undefined where no flag asks for it. Throws ConfigError. */
export function readPeerTls(reader: SettingReader): PeerTls | undefined {
  const caPath = reader.readable(SETTINGS.peerTlsCa);
  const fingerprints = reader.value(SETTINGS.peerTlsFingerprint);
  const certPath = reader.readable(SETTINGS.peerTlsCert);
  const keyPath = reader.readable(SETTINGS.peerTlsKey);
  const domain = reader.value(SETTINGS.peerTlsDomain);
  requirePair(reader, SETTINGS.peerTlsCert, certPath, SETTINGS.peerTlsKey, keyPath);
  if (domain !== undefined && caPath === undefined) {
    throw missing(reader, SETTINGS.peerTlsDomain, SETTINGS.peerTlsCa);
  }
  if (caPath !== undefined && fingerprints.length > 0) {
    throw new ConfigError(
      "contradiction",
      `Cannot use ${
        reader.describe(SETTINGS.peerTlsFingerprint)
      }: ${SETTINGS.peerTlsCa.flag} is given beside it, ` +
        "and would not be asked; give one of both",
    );
  }
  if (caPath === undefined && certPath === undefined && fingerprints.length === 0) return undefined;
  return { caPath, fingerprints, certPath, keyPath, domain };
}

function requirePair(
  reader: SettingReader,
  a: Setting<string | undefined>,
  aPath: string | undefined,
  b: Setting<string | undefined>,
  bPath: string | undefined,
): void {
  if (aPath !== undefined && bPath === undefined) throw missing(reader, a, b);
  if (bPath !== undefined && aPath === undefined) throw missing(reader, b, a);
}

function missing(reader: SettingReader, given: Setting<unknown>, absent: Setting<unknown>): ConfigError {
  return new ConfigError(
    "contradiction",
    `Cannot use ${
      reader.describe(given)
    }: ${absent.flag} is missing; give ${absent.flag} or ${absent.env} too`,
  );
}
