import assert from "node:assert/strict";
import { configHelp, configTable } from "./config_table.ts";
import type { Config } from "./config.ts";
import { ConfigError, type ConfigErrorCode } from "./error.ts";
import { PEER_FORMS } from "./peer_address.ts";
import { SYNC_TOPICS_FORMS } from "./sync_topics.ts";
import { LISTEN_FORMS } from "./listen_address.ts";
import { readConfig } from "./read_config.ts";
import { ALL_SETTINGS } from "./settings.ts";

type Flags = Readonly<Record<string, string | readonly string[]>>;

/** Files that end with ".pem" are readable. */
function read(flags: Flags = {}, env: Readonly<Record<string, string>> = {}): Config {
  return readConfig({
    flags: new Map(
      Object.entries(flags).map(([flag, value]) => [flag, typeof value === "string" ? [value] : value]),
    ),
    env: (name) => env[name],
    whyUnreadable: (path) => path.endsWith(".pem") ? undefined : "it does not exist",
  });
}

Deno.test("readConfig without flags and variables gives the defaults of the contract", () => {
  assert.deepEqual(read(), {
    listen: [{
      address: { kind: "tcp", hostname: "127.0.0.1", port: 50051 },
      secure: false,
      carrier: "stream",
    }],
    webSocketOrigins: [],
    dataPath: "./msgbus.sqlite",
    storage: "sqlite",
    durability: "full",
    dedupKeys: 1_000_000,
    dedupAgeMs: 1_209_600_000,
    minCompressBytes: 8_192,
    node: { tenantId: "tenant", blName: "default", deviceId: "device" },
    peers: [],
    peerTokenPath: undefined,
    discovery: undefined,
    syncIntervalMs: 1_000,
    syncBatchLimit: 100,
    tls: undefined,
    peerTls: undefined,
    authPath: undefined,
    logLevel: "info",
    logFormat: "text",
    warnings: [],
  });
});

Deno.test("readConfig warns of a listener that asks nobody who they are, and of tokens in plain text", () => {
  const wide = { ...TLS, "--listen": "0.0.0.0:50051" };
  assert.match(read(wide).warnings.join(), /asks nobody who they are: give --auth-file or --tls-client-ca/);
  assert.deepEqual(read({ ...wide, "--auth-file": "tokens.json" }).warnings, []);
  assert.deepEqual(read({ ...wide, "--tls-client-ca": "ca.pem" }).warnings, []);
  const plain = { "--listen": "0.0.0.0:50051", "--insecure": "true", "--auth-file": "tokens.json" };
  assert.match(read(plain).warnings.join(), /anyone on the way can read tokens/);
});

Deno.test("readConfig gives each peer its endpoint, identity and topics", () => {
  const { peers, warnings } = read({
    "--peer": ["https://hub:1=t/b/d", "unix:/s=t/b/e", "ws://web/path"],
    "--sync-topics": ["a.>", "https://hub:1=!a.raw.>", "unix:/s=b=c"],
  });
  assert.deepEqual(
    peers.map(({ endpoint, secure, identity, include, exclude }) => [
      endpoint,
      secure,
      identity?.deviceId,
      include,
      exclude,
    ]),
    [
      ["https://hub:1", true, "d", ["a.>"], ["a.raw.>"]],
      ["unix:/s", false, "e", ["a.>", "b=c"], []],
      ["ws://web/path", false, undefined, ["a.>"], []],
    ],
  );
  assert.deepEqual(warnings, [
    "--peer ws://web/path names no identity: whoever answers there is copied from; give ws://web/path=tenant/bl/device",
  ]);
});

Deno.test("readConfig takes a flag before its variable, and the variable before the default", () => {
  const env = { MSGBUS_DATA: "/env.sqlite", MSGBUS_TENANT_ID: "env", MSGBUS_SYNC_INTERVAL_MS: "50" };
  const config = read({ "--data": "/flag.sqlite" }, env);
  assert.deepEqual(
    [config.dataPath, config.node.tenantId, config.syncIntervalMs, config.node.blName],
    ["/flag.sqlite", "env", 50, "default"],
  );
});

Deno.test("readConfig takes an empty variable as absent", () => {
  assert.equal(read({}, { MSGBUS_STORAGE: "", MSGBUS_LISTEN: "" }).storage, "sqlite");
});

Deno.test("readConfig takes all listen flags, or all parts of the variable, never both", () => {
  const env = { MSGBUS_LISTEN: "[::1]:1, unix:/run/msgbus.sock" };
  assert.deepEqual(read({}, env).listen, [
    { address: { kind: "tcp", hostname: "::1", port: 1 }, secure: false, carrier: "stream" },
    { address: { kind: "unix", path: "/run/msgbus.sock" }, secure: false, carrier: "stream" },
  ]);
  assert.deepEqual(read({ "--listen": ["localhost:0", "unix:a,b"] }, env).listen, [
    { address: { kind: "tcp", hostname: "localhost", port: 0 }, secure: false, carrier: "stream" },
    { address: { kind: "unix", path: "a,b" }, secure: false, carrier: "stream" },
  ]);
});

Deno.test("readConfig takes every value of the settings with words", () => {
  for (const storage of ["sqlite", "memory"]) assert.equal(read({ "--storage": storage }).storage, storage);
  for (const durability of ["full", "normal"]) {
    assert.equal(read({ "--durability": durability }).durability, durability);
  }
  for (const level of ["trace", "debug", "info", "warn", "error"]) {
    assert.equal(read({ "--log-level": level }).logLevel, level);
  }
  for (const format of ["text", "json"]) assert.equal(read({ "--log-format": format }).logFormat, format);
});

const TLS = { "--tls-cert": "c.pem", "--tls-key": "k.pem" };

for (
  const [address, remote] of [
    ["0.0.0.0:1", true],
    ["[::]:1", true],
    ["box:1", true],
    ["http://10.0.0.1:1", true],
    ["127.9.9.9:1", false],
    ["[::1]:1", false],
    ["http://localhost:1", false],
    ["unix:/s", false],
  ] as const
) {
  Deno.test(`readConfig takes plain text on ${address} ${remote ? "only with --insecure, and warns" : "as it is"}`, () => {
    if (!remote) return assert.deepEqual(read({ "--listen": address }).warnings, []);
    const bare = address.replace("http://", "");
    assert.throws(() => read({ "--listen": address }), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.code, "insecure");
      assert.equal(
        error.message,
        `Cannot use --listen "${bare}": other machines reach it, in plain text; give --tls-cert and --tls-key, ` +
          `listen on 127.0.0.1 or a unix socket, or allow it with --insecure`,
      );
      return true;
    });
    for (
      const config of [
        read({ "--listen": address, "--insecure": "true" }),
        read({ "--listen": address }, { MSGBUS_INSECURE: "true" }),
      ]
    ) {
      assert.equal(config.warnings.length, 1);
      assert.match(config.warnings.join(), new RegExp(`--listen ${RegExp.escape(bare)} .*without TLS`));
    }
  });
}

Deno.test("readConfig with a certificate makes TCP secure, but for http:// and unix sockets", () => {
  const listen = ["127.0.0.1:1", "0.0.0.0:1", "https://127.0.0.1:2", "http://127.0.0.1:3", "unix:/s"];
  const config = read({ ...TLS, "--listen": listen, "--tls-client-ca": "ca.pem" });
  assert.deepEqual(config.listen.map(({ secure }) => secure), [true, true, true, false, false]);
  assert.deepEqual(config.tls, { certPath: "c.pem", keyPath: "k.pem", clientCaPath: "ca.pem" });
  assert.deepEqual(config.warnings, []);
  assert.match(read({ ...TLS, "--listen": "unix:/s" }).warnings.join(), /--tls-cert is unused/);
});

Deno.test("readConfig takes QUIC, WebSockets with TLS or without, and the origins of their pages", () => {
  const origins = "https://app.example,http://localhost:8080,*";
  const config = read({
    ...TLS,
    "--listen": ["ws://127.0.0.1:1", "wss://0.0.0.0:2", "quic://[::]:3"],
    "--auth-file": "tokens.json",
  }, {
    MSGBUS_WS_ORIGINS: origins,
  });
  assert.deepEqual(config.listen.map(({ secure, carrier }) => [secure, carrier]), [
    [false, "websocket"],
    [true, "websocket"],
    [true, "quic"],
  ]);
  assert.deepEqual(config.webSocketOrigins, origins.split(","));
  assert.deepEqual(config.warnings, []);
  assert.match(read({ "--ws-origin": "*" }).warnings.join(), /--ws-origin is unused/);
  assert.match(
    read({ "--listen": "ws://box:1", "--insecure": "true" }).warnings.join(),
    /--listen ws:\/\/box:1 .*without TLS/,
  );
});

const WRONG: readonly (readonly [
  what: string,
  code: ConfigErrorCode,
  message: string,
  flags: Flags,
  env?: Readonly<Record<string, string>>,
])[] = [
  [
    "an address without port",
    "invalid_value",
    'Cannot use --listen "localhost": it is not host:port, [v6]:port or unix:/path; ' +
    `give ${LISTEN_FORMS}`,
    { "--listen": "localhost" },
  ],
  [
    "an address without host",
    "invalid_value",
    `Cannot use --listen ":1": the host is missing; give ${LISTEN_FORMS}`,
    { "--listen": ":1" },
  ],
  [
    "a port that is too large",
    "invalid_value",
    'Cannot use --listen (from MSGBUS_LISTEN) "h:65536": the port is over 65535; ' +
    `give ${LISTEN_FORMS}, and commas between several`,
    {},
    { MSGBUS_LISTEN: "h:65536" },
  ],
  [
    "an IPv6 address without brackets",
    "invalid_value",
    'Cannot use --listen "::1:1": it is not host:port, [v6]:port or unix:/path; ' +
    `give ${LISTEN_FORMS}`,
    { "--listen": "::1:1" },
  ],
  [
    "a socket without path",
    "invalid_value",
    `Cannot use --listen "unix:": the path is missing; give ${LISTEN_FORMS}`,
    { "--listen": "unix:" },
  ],
  [
    "an empty part of a list",
    "invalid_value",
    'Cannot use --listen (from MSGBUS_LISTEN) "": it is not host:port, [v6]:port or unix:/path; ' +
    `give ${LISTEN_FORMS}, and commas between several`,
    {},
    { MSGBUS_LISTEN: "," },
  ],
  [
    "an address twice",
    "invalid_value",
    `Cannot use --listen "h:1": it is given twice; give ${LISTEN_FORMS}`,
    { "--listen": ["h:1", "h:1"] },
  ],
  [
    "too many addresses",
    "invalid_value",
    "Cannot use --listen: it has 17 values; give it at most 16 times",
    { "--listen": Array.from({ length: 17 }, (_, i) => `h:${i}`) },
  ],
  [
    "a single value twice",
    "invalid_value",
    "Cannot use --data: it has 2 values; give it once",
    { "--data": ["a", "b"] },
  ],
  ["an empty path", "invalid_value", 'Cannot use --data " ": it is empty; give the path of a file', {
    "--data": " ",
  }],
  [
    "an unknown storage",
    "invalid_value",
    'Cannot use --storage (from MSGBUS_STORAGE) "redis": there is no such value; give sqlite, kv or memory',
    {},
    { MSGBUS_STORAGE: "redis" },
  ],
  [
    "an unknown durability",
    "invalid_value",
    'Cannot use --durability "none": there is no such value; give full or normal',
    { "--durability": "none" },
  ],
  [
    "an empty name",
    "invalid_value",
    'Cannot use --tenant-id "": it is empty; give a name of at most 1024 bytes',
    { "--tenant-id": "" },
  ],
  [
    "a name with a NUL byte",
    "invalid_value",
    'Cannot use --bl-name "a\\u0000": it contains a NUL byte; give a name of at most 1024 bytes',
    { "--bl-name": "a\0" },
  ],
  [
    "an interval that is no number",
    "invalid_value",
    'Cannot use --sync-interval-ms "1s": it is no whole number; give a whole number from 10 to 86400000',
    { "--sync-interval-ms": "1s" },
  ],
  [
    "an interval that is too short",
    "invalid_value",
    'Cannot use --sync-interval-ms "9": it is less than 10; give a whole number from 10 to 86400000',
    { "--sync-interval-ms": "9" },
  ],
  [
    "a batch that is too large",
    "invalid_value",
    'Cannot use --sync-batch-limit "10001": it is more than 10000; give a whole number from 1 to 10000',
    { "--sync-batch-limit": "10001" },
  ],
  [
    "a peer with half an identity",
    "invalid_value",
    'Cannot use --peer "h:1=t/b": the identity is not tenant/bl/device; ' +
    `give ${PEER_FORMS}`,
    { "--peer": "h:1=t/b" },
  ],
  [
    "a peer without port",
    "invalid_value",
    'Cannot use --peer (from MSGBUS_PEERS) "h": it is not host:port, [v6]:port or unix:/path; ' +
    `give ${PEER_FORMS}, and commas between several`,
    {},
    { MSGBUS_PEERS: "h" },
  ],
  [
    "a peer with two identities",
    "contradiction",
    'Cannot use --peer: "h:1" is given twice; give each peer once',
    { "--peer": ["h:1=a/b/c", "h:1=a/b/d"] },
  ],
  [
    "a fingerprint that is none",
    "invalid_value",
    'Cannot use --peer-tls-fingerprint "ab:cd": it is no SHA-256; give 64 hexadecimal digits, with or without colons',
    { "--peer-tls-fingerprint": "ab:cd" },
  ],
  [
    "a fingerprint beside an authority",
    "contradiction",
    "Cannot use --peer-tls-fingerprint: --peer-tls-ca is given beside it, and would not be asked; give one of both",
    { "--peer-tls-fingerprint": "0".repeat(64), "--peer-tls-ca": "ca.pem" },
  ],
  [
    "a certificate without key",
    "contradiction",
    "Cannot use --tls-cert: --tls-key is missing; give --tls-key or MSGBUS_TLS_KEY too",
    { "--tls-cert": "c.pem" },
  ],
  [
    "a key without certificate",
    "contradiction",
    "Cannot use --tls-key (from MSGBUS_TLS_KEY): --tls-cert is missing; give --tls-cert or MSGBUS_TLS_CERT too",
    {},
    { MSGBUS_TLS_KEY: "k.pem" },
  ],
  [
    "a client CA without certificate",
    "contradiction",
    "Cannot use --tls-client-ca: --tls-cert is missing; give --tls-cert or MSGBUS_TLS_CERT too",
    { "--tls-client-ca": "ca.pem" },
  ],
  [
    "a peer certificate without key",
    "contradiction",
    "Cannot use --peer-tls-cert: --peer-tls-key is missing; give --peer-tls-key or MSGBUS_PEER_TLS_KEY too",
    { "--peer-tls-cert": "c.pem" },
  ],
  [
    "a peer domain without CA",
    "contradiction",
    "Cannot use --peer-tls-domain: --peer-tls-ca is missing; give --peer-tls-ca or MSGBUS_PEER_TLS_CA too",
    { "--peer-tls-domain": "h" },
  ],
  [
    "an unreadable file",
    "unreadable_file",
    'Cannot read --tls-cert (from MSGBUS_TLS_CERT) "nope": it does not exist; give the path of a PEM file',
    {},
    { MSGBUS_TLS_CERT: "nope" },
  ],
  [
    "https without a certificate",
    "contradiction",
    'Cannot use --listen "https://h:1": there is no certificate; give --tls-cert and --tls-key',
    { "--listen": "https://h:1" },
  ],
  [
    "quic without a certificate",
    "contradiction",
    'Cannot use --listen "quic://127.0.0.1:1": there is no certificate; give --tls-cert and --tls-key',
    { "--listen": "quic://127.0.0.1:1" },
  ],
  [
    "quic where client certificates are demanded",
    "contradiction",
    `Cannot use --listen "quic://h:1": QUIC can't ask for client certificates; leave out --tls-client-ca, or ` +
    "listen on https:// or wss://",
    { ...TLS, "--tls-client-ca": "ca.pem", "--listen": ["h:2", "quic://h:1"] },
  ],
  [
    "wss without a certificate",
    "contradiction",
    'Cannot use --listen "wss://h:1": there is no certificate; give --tls-cert and --tls-key',
    { "--listen": "wss://h:1" },
  ],
  [
    "a plain WebSocket that other machines reach",
    "insecure",
    'Cannot use --listen "ws://h:1": other machines reach it, in plain text; give wss:// with --tls-cert and --tls-key, ' +
    "listen on 127.0.0.1 or a unix socket, or allow it with --insecure",
    { "--listen": "ws://h:1" },
  ],
  ...["https://app.example/", "app.example", "HTTPS://app.example", "https://app.example:443", "null"].map((
    origin,
  ) =>
    [
      `"${origin}" as the origin of a page`,
      "invalid_value",
      `Cannot use --ws-origin "${origin}": it is no origin of a page; ` +
      "give scheme://host or scheme://host:port, or *",
      { "--ws-origin": origin },
    ] as const
  ),
  [
    "a unix socket with a scheme",
    "invalid_value",
    `Cannot use --listen "https://unix:/s": a unix socket has no scheme; give ${LISTEN_FORMS}`,
    { "--listen": "https://unix:/s" },
  ],
  [
    "--insecure that is neither true nor false",
    "invalid_value",
    'Cannot use --insecure (from MSGBUS_INSECURE) "yes": there is no such value; give true or false',
    {},
    { MSGBUS_INSECURE: "yes" },
  ],
  [
    "a token that others could read on its way to a peer",
    "insecure",
    'Cannot use --peer-token-file: --peer "http://h:1" is without TLS, and others could read the token on its way; ' +
    "give https://, or allow it with --insecure",
    { "--peer": "http://h:1", "--peer-token-file": "token.pem" },
  ],
  [
    "discovery of whoever comes",
    "contradiction",
    "Cannot use --discover: nothing would decide who may be a peer; give --discover-secret-file, --peer-tls-ca or --peer-tls-fingerprint",
    { "--discover": "true" },
  ],
  [
    "discovery on an interface by its name",
    "invalid_value",
    'Cannot use --discover-interface "eth0": it is no IPv4 address; give an IPv4 address of this machine',
    { "--discover-interface": "eth0" },
  ],
  [
    "a pattern of topics that is empty",
    "invalid_value",
    `Cannot use --sync-topics "!": it is empty; give ${SYNC_TOPICS_FORMS}`,
    { "--sync-topics": "!" },
  ],
  [
    "kv storage, until there is some",
    "not_available",
    "Cannot use --storage kv: this version has no kv storage yet; leave it out",
    { "--storage": "kv" },
  ],
];

for (const [what, code, message, flags, env] of WRONG) {
  Deno.test(`readConfig refuses ${what}`, () => {
    assert.throws(() => read(flags, env), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual([error.code, error.message], [code, message]);
      return true;
    });
  });
}

Deno.test("ConfigError is one line whatever it quotes", () => {
  assert.equal(new ConfigError("unreadable_file", "a\r\nb\nc").message, "a b c");
});

Deno.test("the table and the help text name every setting with its variable and default", () => {
  assert.equal(new Set(ALL_SETTINGS.map(({ flag }) => flag)).size, ALL_SETTINGS.length);
  for (const { flag, env, default: standard } of ALL_SETTINGS) {
    const row = configTable().split("\n").find((line) => new RegExp(`^\\| .${flag}[ \`]`).test(line));
    assert.ok(
      row?.includes(`\`${env}\``) && (standard === undefined || row.includes(`\`${standard}\``)),
      flag,
    );
    assert.ok(
      configHelp().includes(`${standard === undefined ? "[" : `[default: ${standard}, `}${env}]`),
      flag,
    );
  }
});

Deno.test("the flags and variables are those of the contract", () => {
  assert.deepEqual(ALL_SETTINGS.map(({ flag, env }) => `${flag} ${env}`), [
    "--listen MSGBUS_LISTEN",
    "--ws-origin MSGBUS_WS_ORIGINS",
    "--insecure MSGBUS_INSECURE",
    "--data MSGBUS_DATA",
    "--storage MSGBUS_STORAGE",
    "--durability MSGBUS_DURABILITY",
    "--dedup-keys MSGBUS_DEDUP_KEYS",
    "--dedup-age-ms MSGBUS_DEDUP_AGE_MS",
    "--min-compress-bytes MSGBUS_MIN_COMPRESS_BYTES",
    "--tenant-id MSGBUS_TENANT_ID",
    "--bl-name MSGBUS_BL_NAME",
    "--device-id MSGBUS_DEVICE_ID",
    "--peer MSGBUS_PEERS",
    "--sync-topics MSGBUS_SYNC_TOPICS",
    "--peer-token-file MSGBUS_PEER_TOKEN_FILE",
    "--discover MSGBUS_DISCOVER",
    "--discover-secret-file MSGBUS_DISCOVER_SECRET_FILE",
    "--discover-interface MSGBUS_DISCOVER_INTERFACE",
    "--peer-tls-ca MSGBUS_PEER_TLS_CA",
    "--peer-tls-fingerprint MSGBUS_PEER_TLS_FINGERPRINTS",
    "--peer-tls-cert MSGBUS_PEER_TLS_CERT",
    "--peer-tls-key MSGBUS_PEER_TLS_KEY",
    "--peer-tls-domain MSGBUS_PEER_TLS_DOMAIN",
    "--tls-cert MSGBUS_TLS_CERT",
    "--tls-key MSGBUS_TLS_KEY",
    "--tls-client-ca MSGBUS_TLS_CLIENT_CA",
    "--auth-file MSGBUS_AUTH_FILE",
    "--sync-interval-ms MSGBUS_SYNC_INTERVAL_MS",
    "--sync-batch-limit MSGBUS_SYNC_BATCH_LIMIT",
    "--log-level MSGBUS_LOG_LEVEL",
    "--log-format MSGBUS_LOG_FORMAT",
  ]);
});
