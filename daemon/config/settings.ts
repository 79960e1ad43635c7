import type { Durability, LogFormat, LogLevel, StorageKind } from "./config.ts";
import { isFingerprint } from "./fingerprint.ts";
import { CONFIG_LIMITS } from "./limits.ts";
import { LISTEN_FORMS, parseListenRequest } from "./listen_address.ts";
import { parsePeerAddress, PEER_FORMS } from "./peer_address.ts";
import { SYNC_TOPICS_FORMS } from "./sync_topics.ts";
import { list, optional, type Parsed, required, type Setting, toggle } from "./setting.ts";

const encoder = new TextEncoder();

/** Every setting of the daemon, in the order of the help text. Flags and variables are part of the contract. */
export const SETTINGS = {
  listen: list({
    flag: "--listen",
    argument: "<address>",
    env: "MSGBUS_LISTEN",
    default: "127.0.0.1:50051",
    maxValues: CONFIG_LIMITS.listeners,
    doc:
      "Where clients connect: host:port or [v6]:port, with TLS where there is a certificate; http:// before it " +
      "for plain text, https:// for TLS, ws:// or wss:// for WebSocket, quic:// for QUIC; or unix:/path. Repeatable; with commas in the variable.",
    wish: LISTEN_FORMS,
  }, (text) => orProblem(parseListenRequest(text))),
  wsOrigin: list({
    flag: "--ws-origin",
    argument: "<origin>",
    env: "MSGBUS_WS_ORIGINS",
    default: undefined,
    maxValues: CONFIG_LIMITS.webSocketOrigins,
    doc:
      "Origin of a web page that may connect by WebSocket, such as https://app.example; * is every page. Without it " +
      "browsers are refused: they let any page that somebody visits connect to a daemon on their machine. Repeatable; with commas in the variable.",
    wish: "scheme://host or scheme://host:port, or *",
  }, (text) => isOrigin(text) ? { value: text } : { problem: "it is no origin of a page" }),
  insecure: toggle({
    flag: "--insecure",
    env: "MSGBUS_INSECURE",
    doc:
      "Allow addresses that other machines reach without TLS. Whoever reaches them reads and writes every topic.",
  }),
  data: required({
    flag: "--data",
    argument: "<file>",
    env: "MSGBUS_DATA",
    default: "./msgbus.sqlite",
    doc: "The file that keeps the messages; it and its folder are created when absent.",
    wish: "the path of a file",
  }, path),
  storage: choice<StorageKind>({
    flag: "--storage",
    env: "MSGBUS_STORAGE",
    default: "sqlite",
    doc: "What keeps the messages. memory keeps nothing over a restart; kv comes with a later version.",
  }, ["sqlite", "kv", "memory"]),
  durability: choice<Durability>({
    flag: "--durability",
    env: "MSGBUS_DURABILITY",
    default: "full",
    doc:
      "full acknowledges after the fsync; normal leaves the fsync to the system: a power cut loses the last.",
  }, ["full", "normal"]),
  dedupKeys: integer(
    {
      flag: "--dedup-keys",
      argument: "<count>",
      env: "MSGBUS_DEDUP_KEYS",
      default: "1000000",
      doc:
        "Idempotency keys that are remembered, and as many stretches of what producers sent; the oldest are forgotten " +
        "first. A retry with a key that was forgotten is stored again.",
    },
    1,
    CONFIG_LIMITS.maxDedupKeys,
  ),
  dedupAgeMs: integer(
    {
      flag: "--dedup-age-ms",
      argument: "<ms>",
      env: "MSGBUS_DEDUP_AGE_MS",
      default: "1209600000",
      doc: "Milliseconds that they are remembered, and producers that publish nothing: 14 days.",
    },
    CONFIG_LIMITS.minDedupAgeMs,
    CONFIG_LIMITS.maxDedupAgeMs,
  ),
  minCompressBytes: integer(
    {
      flag: "--min-compress-bytes",
      argument: "<bytes>",
      env: "MSGBUS_MIN_COMPRESS_BYTES",
      default: "8192",
      doc:
        "Size from which on a message is compressed for clients that compress theirs (gzip, zstd, snappy, lz4); below it " +
        "the work costs more than the bytes.",
    },
    0,
    CONFIG_LIMITS.maxMinCompressBytes,
  ),
  tenantId: name("--tenant-id", "MSGBUS_TENANT_ID", "tenant", "First part of this node's name."),
  blName: name("--bl-name", "MSGBUS_BL_NAME", "default", "Second part of this node's name."),
  deviceId: name("--device-id", "MSGBUS_DEVICE_ID", "device", "Third part of this node's name."),
  peer: list({
    flag: "--peer",
    argument: "<peer>",
    env: "MSGBUS_PEERS",
    default: undefined,
    maxValues: CONFIG_LIMITS.peers,
    doc: "A daemon to pull from: endpoint[=tenant/bl/device]. Repeatable; with commas in the variable.",
    wish: PEER_FORMS,
  }, (text) => orProblem(parsePeerAddress(text))),
  syncTopics: list({
    flag: "--sync-topics",
    argument: "<pattern>",
    env: "MSGBUS_SYNC_TOPICS",
    default: undefined,
    maxValues: CONFIG_LIMITS.syncTopics,
    doc:
      "Topics to copy from peers, as a pattern (a.*.c, a.>, or a/+/c, a/#); !pattern: not those. endpoint=pattern is for " +
      "that peer alone. Without any, everything is copied. Repeatable; with commas in the variable.",
    wish: SYNC_TOPICS_FORMS,
  }, (text) => text.replace(/^!/, "").trim() === "" ? { problem: "it is empty" } : { value: text }),
  peerTokenFile: optional({
    flag: "--peer-token-file",
    argument: "<file>",
    env: "MSGBUS_PEER_TOKEN_FILE",
    doc:
      'File with the token to show to peers, which must grant "sync" there; not to daemons found by --discover without TLS. SIGHUP is not needed: it is read for ' +
      "each connection.",
    wish: "the path of a file",
  }, path),
  discover: toggle({
    flag: "--discover",
    env: "MSGBUS_DISCOVER",
    doc:
      "Announce this daemon on the local network, and copy from daemons of the same tenant that are found there " +
      "(multicast DNS, _msgbus._tcp). Needs --discover-secret-file, --peer-tls-ca or --peer-tls-fingerprint, which decide who may be a peer.",
  }),
  discoverSecretFile: optional({
    flag: "--discover-secret-file",
    argument: "<file>",
    env: "MSGBUS_DISCOVER_SECRET_FILE",
    doc: "File with the secret, at least 16 bytes, that discovered daemons must know too.",
    wish: "the path of a file",
  }, path),
  discoverInterface: required(
    {
      flag: "--discover-interface",
      argument: "<address>",
      env: "MSGBUS_DISCOVER_INTERFACE",
      default: "0.0.0.0",
      doc: "IPv4 address of the network interface to discover on; 0.0.0.0 leaves the choice to the system.",
      wish: "an IPv4 address of this machine",
    },
    (text) =>
      /^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(text) ? { value: text } : { problem: "it is no IPv4 address" },
  ),
  peerTlsCa: file(
    "--peer-tls-ca",
    "MSGBUS_PEER_TLS_CA",
    "PEM file of the authority that peers must have.",
  ),
  peerTlsFingerprint: list(
    {
      flag: "--peer-tls-fingerprint",
      argument: "<sha256>",
      env: "MSGBUS_PEER_TLS_FINGERPRINTS",
      default: undefined,
      maxValues: CONFIG_LIMITS.peerFingerprints,
      doc:
        "SHA-256 of a certificate that peers may have, in place of --peer-tls-ca: such as one that a peer signed itself, " +
        "whatever its names are. A daemon logs that of its own. Repeatable; with commas in the variable.",
      wish: "64 hexadecimal digits, with or without colons",
    },
    (text) => isFingerprint(text) ? { value: text } : { problem: "it is no SHA-256" },
  ),
  peerTlsCert: file(
    "--peer-tls-cert",
    "MSGBUS_PEER_TLS_CERT",
    "PEM file of the certificate to show to peers.",
  ),
  peerTlsKey: file(
    "--peer-tls-key",
    "MSGBUS_PEER_TLS_KEY",
    "PEM file of that certificate's key.",
  ),
  peerTlsDomain: optional({
    flag: "--peer-tls-domain",
    argument: "<name>",
    env: "MSGBUS_PEER_TLS_DOMAIN",
    doc: "The name that peers' certificates must carry.",
    wish: "a host name",
  }, (text) => /^[\w.-]+$/.test(text) ? { value: text } : { problem: "it is no host name" }),
  tlsCert: file(
    "--tls-cert",
    "MSGBUS_TLS_CERT",
    "PEM file of the certificate to show to clients, with those between it and its authority. SIGHUP reads it anew.",
  ),
  tlsKey: file("--tls-key", "MSGBUS_TLS_KEY", "PEM file of that certificate's private key, not encrypted."),
  tlsClientCa: file(
    "--tls-client-ca",
    "MSGBUS_TLS_CLIENT_CA",
    "PEM file of the authorities that may vouch for clients; one without such a certificate is refused.",
  ),
  authFile: optional({
    flag: "--auth-file",
    argument: "<file>",
    env: "MSGBUS_AUTH_FILE",
    doc:
      "File of tokens and certificates and what each may do; without it, whoever connects may do everything. SIGHUP reads it anew.",
    wish: "the path of a file that `msgbusd token create` makes",
  }, path),
  syncIntervalMs: integer(
    {
      flag: "--sync-interval-ms",
      argument: "<ms>",
      env: "MSGBUS_SYNC_INTERVAL_MS",
      default: "1000",
      doc: "Milliseconds between two pulls from a peer that can't tell of changes by itself.",
    },
    CONFIG_LIMITS.minSyncIntervalMs,
    CONFIG_LIMITS.maxSyncIntervalMs,
  ),
  syncBatchLimit: integer(
    {
      flag: "--sync-batch-limit",
      argument: "<count>",
      env: "MSGBUS_SYNC_BATCH_LIMIT",
      default: "100",
      doc: "Messages of one pull from such a peer.",
    },
    1,
    CONFIG_LIMITS.maxSyncBatchLimit,
  ),
  logLevel: choice<LogLevel>({
    flag: "--log-level",
    env: "MSGBUS_LOG_LEVEL",
    default: "info",
    doc: "The least severe log records that are written.",
  }, ["trace", "debug", "info", "warn", "error"]),
  logFormat: choice<LogFormat>({
    flag: "--log-format",
    env: "MSGBUS_LOG_FORMAT",
    default: "text",
    doc: "How log records are written: lines for people, or one JSON object per line.",
  }, ["text", "json"]),
} as const;

/** The settings in the order of the help text, where their values do not matter. */
export const ALL_SETTINGS: readonly Setting<unknown>[] = Object.values(SETTINGS);

function choice<T extends string>(
  description: {
    readonly flag: string;
    readonly env: string;
    readonly default: T;
    readonly doc: string;
  },
  values: readonly T[],
): Setting<T> {
  const wish = values.join(", ").replace(/, ([^,]*)$/, " or $1");
  const doc = `${description.doc} One of ${wish}.`;
  return required({ ...description, argument: "<word>", doc, wish }, (text) => {
    const value = values.find((candidate) => candidate === text);
    return value === undefined ? { problem: "there is no such value" } : { value };
  });
}

function integer(
  description: {
    readonly flag: string;
    readonly argument: string;
    readonly env: string;
    readonly default: string;
    readonly doc: string;
  },
  min: number,
  max: number,
): Setting<number> {
  return required({ ...description, wish: `a whole number from ${min} to ${max}` }, (text) => {
    if (!/^[0-9]+$/.test(text)) return { problem: "it is no whole number" };
    const value = Number(text);
    if (value < min) return { problem: `it is less than ${min}` };
    return value > max ? { problem: `it is more than ${max}` } : { value };
  });
}

function name(flag: string, env: string, standard: string, doc: string): Setting<string> {
  const wish = `a name of at most ${CONFIG_LIMITS.nameBytes} bytes`;
  return required({ flag, argument: "<name>", env, default: standard, doc, wish }, (text) => {
    if (text.trim() === "") return { problem: "it is empty" };
    if (text.includes("\0")) return { problem: "it contains a NUL byte" };
    const bytes = encoder.encode(text).length;
    return bytes > CONFIG_LIMITS.nameBytes ? { problem: `it has ${bytes} bytes` } : { value: text };
  });
}

function file(flag: string, env: string, doc: string): Setting<string | undefined> {
  return optional({ flag, argument: "<file>", env, doc, wish: "the path of a PEM file" }, path);
}

function path(text: string): Parsed<string> {
  if (text.trim() === "") return { problem: "it is empty" };
  return text.includes("\0") ? { problem: "it contains a NUL byte" } : { value: text };
}

/** Browsers send an origin in one form alone: lower case, no path, no port that the scheme has anyway. */
function isOrigin(text: string): boolean {
  return text === "*" || (URL.canParse(text) && new URL(text).origin === text);
}

function orProblem<T extends object>(parsed: T | string): Parsed<T> {
  return typeof parsed === "string" ? { problem: parsed } : { value: parsed };
}
