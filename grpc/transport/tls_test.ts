/** TLS between our client, our listener, and others' clients, as streams of bytes. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { createServer, type TLSSocket } from "node:tls";
import type { ByteStream } from "./byte_stream.ts";
import { ServerTls, type ServerTlsOptions } from "./server_tls.ts";
import { connectTcp } from "./tcp.ts";
import { CertificateAuthority, type KeyPair } from "./testing/certificate_authority.ts";
import { connectTls, type TlsClientOptions } from "./tls_client.ts";
import { TlsConnectError, type TlsConnectErrorCode } from "./tls_connect_error.ts";
import type { TlsRefusal, TlsRefusalCode } from "./tls_refusal.ts";
import { listenTls, type TlsListener, type TlsListenOptions } from "./tls_server.ts";

const HOUR_MS = 3_600_000;
/** A refusal that does not come is a failure, not something to wait for. */
const REFUSAL_DEADLINE_MS = 5_000;
const authority = await CertificateAuthority.create();
const stranger = await CertificateAuthority.create("stranger");
const server = await authority.issueLocal();
const client = await authority.issue({ commonName: "client", uri: ["spiffe://test/client"] });
const past = { notBefore: new Date(Date.now() - 3 * HOUR_MS), notAfter: new Date(Date.now() - 2 * HOUR_MS) };
const mutual: ServerTlsOptions = { ...server, clientCa: authority.cert };
const trusted: TlsClientOptions = { ca: authority.cert };

/** A listener that echoes, and what it refused. */
class Echo implements AsyncDisposable {
  readonly accepted: ByteStream[] = [];
  readonly refusals: TlsRefusal[] = [];
  readonly port: number;
  readonly #listener: TlsListener;
  readonly #running: Promise<void>;
  #onRefused: () => void = () => {};

  private constructor(listener: TlsListener, refusals: TlsRefusal[]) {
    this.#listener = listener;
    this.refusals = refusals;
    this.port = Number(/:(\d+)$/.exec(listener.address)?.[1]);
    this.#running = this.#run();
  }

  static async start(
    pem: ServerTlsOptions,
    options: TlsListenOptions = {},
    hostname = "127.0.0.1",
  ): Promise<Echo> {
    const refusals: TlsRefusal[] = [];
    const onRefused = (refusal: TlsRefusal) => {
      refusals.push(refusal);
      echo.#onRefused();
    };
    const listener = await listenTls({ hostname, port: 0 }, await ServerTls.load(pem), {
      ...options,
      onRefused,
    });
    const echo = new Echo(listener, refusals);
    return echo;
  }

  get address(): string {
    return this.#listener.address;
  }

  connect(options: TlsClientOptions = trusted, hostname = "127.0.0.1"): Promise<ByteStream> {
    return connectTls({ hostname, port: this.port }, options)();
  }

  async reload(pem: ServerTlsOptions): Promise<void> {
    this.#listener.reload(await ServerTls.load(pem));
  }

  /** Waits for the next refusal that is not known yet. */
  async refusal(): Promise<TlsRefusal> {
    if (this.refusals.length === 0) {
      const tooLate = setTimeout(() => this.#onRefused(), REFUSAL_DEADLINE_MS);
      await new Promise<void>((resolve) => this.#onRefused = resolve);
      clearTimeout(tooLate);
    }
    return this.refusals.shift() ?? assert.fail("no refusal");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const stream of this.accepted) stream.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (
      let stream = await this.#listener.accept();
      stream !== null;
      stream = await this.#listener.accept()
    ) {
      this.accepted.push(stream);
      void echoAll(stream);
    }
  }
}

async function echoAll(stream: ByteStream): Promise<void> {
  try {
    for (let bytes = await stream.read(); bytes !== null; bytes = await stream.read()) {
      await stream.write(bytes);
    }
    await stream.closeWrite();
  } catch {
    // The client is gone.
  }
}

/** What comes back of `bytes`. */
async function exchange(stream: ByteStream, bytes: Uint8Array): Promise<number> {
  const writing = stream.write(bytes);
  let count = 0;
  while (count < bytes.length) {
    count += (await stream.read())?.length ?? assert.fail(`it ended after ${count} bytes`);
  }
  await writing;
  return count;
}

/** That a client gets no further than the handshake: opening, writing or reading fails. */
async function rejection(opening: Promise<ByteStream>): Promise<unknown> {
  let stream: ByteStream;
  try {
    stream = await opening;
  } catch (error) {
    return error;
  }
  try {
    await stream.write(Uint8Array.of(1)).catch(() => {});
    return await stream.read();
  } catch (error) {
    return error;
  } finally {
    stream.close();
  }
}

async function assertConnectError(opening: Promise<ByteStream>, code: TlsConnectErrorCode): Promise<void> {
  const error = await rejection(opening);
  assert.ok(error instanceof TlsConnectError, String(error));
  assert.equal(error.code, code, error.message);
}

Deno.test("listenTls and connectTls carry bytes both ways, to a name and to IP addresses", async () => {
  await using echo = await Echo.start(server);
  assert.match(echo.address, /^https:\/\/127\.0\.0\.1:\d+$/);
  for (
    const [hostname, serverName] of [["127.0.0.1"], ["localhost"], ["127.0.0.1", "localhost"], [
      "localhost",
      "::1",
    ]]
  ) {
    const stream = await echo.connect({ ...trusted, ...(serverName && { serverName }) }, hostname);
    assert.equal(await exchange(stream, new Uint8Array(3_000_000)), 3_000_000);
    await stream.closeWrite();
    assert.equal(await stream.read(), null, "the other end finishes too");
    stream.close();
  }
  assert.equal(echo.accepted.length, 4);
  assert.ok(
    echo.accepted.every(({ identity, peer }) => identity === undefined && peer.startsWith("tls:127.0.0.1:")),
  );
});

Deno.test("listenTls: a server's chain may have authorities between", async () => {
  const below = await authority.below("between");
  await using echo = await Echo.start(await below.issueLocal());
  const stream = await echo.connect();
  assert.equal(await exchange(stream, new Uint8Array(10)), 10);
  stream.close();
});

Deno.test("listenTls with client authorities tells who the client is", async () => {
  await using echo = await Echo.start(mutual);
  const stream = await echo.connect({ ...trusted, ...client });
  await exchange(stream, new Uint8Array(1));
  const { fingerprint = "", ...names } = echo.accepted[0]?.identity ?? {};
  assert.deepEqual(names, { commonName: "client", names: [{ kind: "uri", value: "spiffe://test/client" }] });
  assert.match(fingerprint, /^[0-9a-f]{64}$/);
  stream.close();
});

/** A client that says one thing and waits for the end. */
async function sayRaw(port: number, bytes: Uint8Array): Promise<void> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const room = new Uint8Array(1_000);
  try {
    await conn.write(bytes);
    while (await conn.read(room) !== null);
  } catch {
    // A reset is an end as well.
  }
}

async function denoClient(
  port: number,
  alpnProtocols: string[] | undefined,
  ca = authority.cert,
): Promise<void> {
  const conn = await Deno.connectTls({
    hostname: "localhost",
    port,
    caCerts: [ca],
    ...(alpnProtocols && { alpnProtocols }),
  });
  try {
    await conn.handshake();
    while (await conn.read(new Uint8Array(100)) !== null);
  } finally {
    conn.close();
  }
}

const text = (words: string) => new TextEncoder().encode(words);
const foreign = await stranger.issue({ commonName: "client" });
const expired = await authority.issue({ commonName: "client", ...past });
const future = await authority.issue({ commonName: "client", notBefore: new Date(Date.now() + HOUR_MS / 2) });

const REFUSED:
  readonly (readonly [what: string, code: TlsRefusalCode, attempt: (echo: Echo) => Promise<unknown>])[] = [
    ["no client certificate", "no_client_certificate", (echo) => rejection(echo.connect())],
    [
      "a rogue client certificate",
      "untrusted_client_certificate",
      (echo) => rejection(echo.connect({ ...trusted, ...foreign })),
    ],
    [
      "an expired client certificate",
      "expired_client_certificate",
      (echo) => rejection(echo.connect({ ...trusted, ...expired })),
    ],
    [
      "a client certificate that is not valid yet",
      "expired_client_certificate",
      (echo) => rejection(echo.connect({ ...trusted, ...future })),
    ],
    ["HTTP in plain text", "no_tls", ({ port }) => sayRaw(port, text("GET / HTTP/1.1\r\nhost: x\r\n\r\n"))],
    ["HTTP/2 in plain text", "no_tls", ({ port }) => sayRaw(port, text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))],
    [
      "a TLS record that is none",
      "incompatible",
      ({ port }) => sayRaw(port, Uint8Array.of(22, 3, 1, 0, 4, 1, 0, 0, 0)),
    ],
    [
      "another protocol than HTTP/2 (RFC 9113, 3.2)",
      "no_http2",
      ({ port }) => denoClient(port, ["http/1.1"]),
    ],
    [
      "a client that does not know our authority",
      "refused_by_client",
      ({ port }) => denoClient(port, ["h2"], stranger.cert),
    ],
  ];

for (const [what, code, attempt] of REFUSED) {
  Deno.test(`listenTls refuses ${what}, says why, and goes on`, async () => {
    await using echo = await Echo.start(mutual);
    const attempted = attempt(echo).catch(() => {});
    const refusal = await echo.refusal();
    assert.equal(refusal.code, code, refusal.reason);
    await attempted;
    assert.match(refusal.remote, /^127\.0\.0\.1:\d+$/);
    const stream = await echo.connect({ ...trusted, ...client });
    assert.equal(await exchange(stream, new Uint8Array(1)), 1);
    stream.close();
    assert.equal(echo.accepted.length, 1);
    assert.deepEqual(echo.refusals, []);
  });
}

Deno.test("listenTls refuses a client without ALPN (RFC 9113, 3.2)", async () => {
  await using echo = await Echo.start(server);
  const attempted = denoClient(echo.port, undefined).catch(() => {});
  assert.equal((await echo.refusal()).code, "no_http2");
  await attempted;
});

Deno.test("listenTls: handshakes that stand still hold up nobody, and end in time", async () => {
  await using echo = await Echo.start(server, { handshakeTimeoutMs: 300 });
  const idle = await Promise.all(
    Array.from({ length: 20 }, () => Deno.connect({ hostname: "127.0.0.1", port: echo.port })),
  );
  const stream = await echo.connect();
  assert.equal(await exchange(stream, new Uint8Array(1)), 1);
  assert.deepEqual(echo.refusals, [], "the others are still waited for");
  for (const conn of idle) {
    assert.equal((await echo.refusal()).code, "timeout");
    assert.equal(await conn.read(new Uint8Array(1)).catch(() => null), null);
    conn.close();
  }
  assert.equal(await exchange(stream, new Uint8Array(1)), 1, "an established connection has no such limit");
  stream.close();
});

Deno.test("listenTls: beyond the limit of handshakes the oldest gives way", async () => {
  await using echo = await Echo.start(server, { maxHandshakes: 2 });
  const idle: Deno.TcpConn[] = [];
  for (let i = 0; i < 2; i++) idle.push(await Deno.connect({ hostname: "127.0.0.1", port: echo.port }));
  const stream = await echo.connect();
  assert.equal(await exchange(stream, new Uint8Array(1)), 1);
  assert.equal((await echo.refusal()).code, "too_many");
  assert.equal(await idle[0]?.read(new Uint8Array(1)).catch(() => null), null, "it was the first one");
  assert.deepEqual(echo.refusals, []);
  stream.close();
  for (const conn of idle) conn.close();
});

Deno.test("TlsListener.reload: new connections get the new credentials, open ones go on", async () => {
  await using echo = await Echo.start(server);
  const before = await echo.connect();
  await exchange(before, new Uint8Array(1));
  await echo.reload({ ...await stranger.issueLocal(), clientCa: stranger.cert });
  await assertConnectError(echo.connect(), "untrusted");
  const after = await echo.connect({ ca: stranger.cert, ...foreign });
  assert.equal(await exchange(after, new Uint8Array(100_000)), 100_000);
  assert.equal(await exchange(before, new Uint8Array(100_000)), 100_000);
  echo.refusals.splice(0);
  await rejection(echo.connect({ ca: stranger.cert, ...client }));
  assert.equal((await echo.refusal()).code, "untrusted_client_certificate");
  before.close();
  after.close();
});

Deno.test("TlsListener.close ends accept and the handshakes under way, and leaves open connections", async () => {
  const listener = await listenTls({ hostname: "127.0.0.1", port: 0 }, await ServerTls.load(server));
  const port = Number(/:(\d+)$/.exec(listener.address)?.[1]);
  const connecting = connectTls({ hostname: "localhost", port }, trusted)();
  const accepted = await listener.accept() ?? assert.fail("nothing was accepted");
  const stream = await connecting;
  const idle = await Deno.connect({ hostname: "127.0.0.1", port });
  const pending = listener.accept();
  listener.close();
  listener.close();
  assert.equal(await pending, null);
  assert.equal(await idle.read(new Uint8Array(1)).catch(() => null), null);
  idle.close();
  void echoAll(accepted);
  assert.equal(await exchange(stream, new Uint8Array(10)), 10);
  stream.close();
  accepted.close();
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }));
});

Deno.test("listenTls says that an address is in use", async () => {
  await using echo = await Echo.start(server);
  await assert.rejects(
    listenTls({ hostname: "127.0.0.1", port: echo.port }, await ServerTls.load(server)),
    /in use/i,
  );
});

Deno.test("connectTls refuses a server of another authority, an expired one, and one of another name", async () => {
  {
    await using echo = await Echo.start(server);
    await assertConnectError(echo.connect({ ca: stranger.cert }), "untrusted");
    await assertConnectError(echo.connect({}), "untrusted");
    for (const serverName of ["other.example", "10.0.0.1", "LOCALHOST.example"]) {
      await assertConnectError(echo.connect({ ...trusted, serverName }), "wrong_name");
    }
  }
  {
    await using echo = await Echo.start(await authority.issueLocal(past));
    await assertConnectError(echo.connect(), "expired");
  }
  {
    await using echo = await Echo.start(
      await authority.issue({ commonName: "localhost", dns: ["bus.example"] }),
    );
    await assertConnectError(echo.connect(trusted, "localhost"), "wrong_name");
    const stream = await echo.connect({ ...trusted, serverName: "bus.example" });
    assert.equal(await exchange(stream, new Uint8Array(1)), 1);
    stream.close();
  }
});

Deno.test("connectTls takes a certificate by its fingerprint, whoever issued it and whatever its name is, and no other", async () => {
  const { cert, key } = await stranger.issue({ commonName: "device" });
  const colons = new X509Certificate(cert).fingerprint256;
  const plain = colons.replaceAll(":", "").toLowerCase();
  {
    await using echo = await Echo.start({ cert, key, clientCa: authority.cert });
    for (const fingerprints of [[colons], ["0".repeat(64), plain]]) {
      const stream = await echo.connect({ fingerprints, ...client });
      assert.equal(await exchange(stream, new Uint8Array(100_000)), 100_000);
      stream.close();
    }
    await assertConnectError(
      echo.connect({ fingerprints: ["0".repeat(64)], ...client }),
      "wrong_certificate",
    );
    await assert.rejects(
      echo.connect({ fingerprints: ["0".repeat(64)], ...client }),
      new RegExp(`none of those whose fingerprints were given: it has sha256 ${plain}`),
    );
  }
  const expired = await stranger.issue({ commonName: "device", ...past });
  await using echo = await Echo.start(expired);
  await assertConnectError(
    echo.connect({ fingerprints: [new X509Certificate(expired.cert).fingerprint256] }),
    "expired",
  );
});

for (const version of [1, 3] as const) {
  Deno.test(`connectTls refuses a certificate of version ${version} of a stranger who has the authority's name`, async () => {
    const namesake = await CertificateAuthority.create();
    const forged = await namesake.issue({ commonName: "localhost", dns: ["localhost"], version });
    await using foreign = await foreignServer(forged);
    await assertConnectError(foreign.connect(trusted), "untrusted");
    await assertConnectError(foreign.connect({ ...trusted, ...client }), "untrusted");
  });
}

Deno.test("connectTls refuses certificates of version 1: the runtime would not ask for their keys", async () => {
  const old = await authority.issue({ commonName: "localhost", version: 1 });
  await using foreign = await foreignServer(old);
  const fingerprints = [new X509Certificate(old.cert).fingerprint256];
  await assertConnectError(foreign.connect(trusted), "old_certificate");
  await assertConnectError(foreign.connect({ fingerprints }), "old_certificate");
});

Deno.test("connectTls takes a certificate that an authority in between issued", async () => {
  await using echo = await Echo.start(await (await authority.below("middle")).issueLocal());
  const stream = await echo.connect();
  assert.equal(await exchange(stream, new Uint8Array(10)), 10);
  stream.close();
});

/** A server that takes certificates which ours does not. */
async function foreignServer(pem: KeyPair) {
  const sockets: TLSSocket[] = [];
  const foreign = createServer({ ...pem, ALPNProtocols: ["h2"] }, (socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => foreign.listen(0, "127.0.0.1", resolve));
  const address = foreign.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    connect: (options: TlsClientOptions) => connectTls({ hostname: "localhost", port }, options)(),
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => foreign.close(() => resolve()));
    },
  };
}

Deno.test("connectTls tells that the server demands a client certificate, or refuses the one it got", async () => {
  await using echo = await Echo.start(mutual);
  await assertConnectError(echo.connect(), "client_certificate_required");
  await assertConnectError(echo.connect({ ...trusted, ...foreign }), "client_certificate_refused");
});

Deno.test("connectTls tells of a server in plain text, and connectTcp of one with TLS", async () => {
  const plain = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const answering = (async () => {
    using conn = await plain.accept();
    await conn.write(text("HTTP/1.1 400 Bad Request\r\n\r\n"));
    await conn.read(new Uint8Array(1_000));
  })();
  await assertConnectError(connectTls({ hostname: "127.0.0.1", port: plain.addr.port }, trusted)(), "no_tls");
  await answering;
  plain.close();
  await using echo = await Echo.start(server);
  const stream = await connectTcp({ hostname: "127.0.0.1", port: echo.port })();
  await stream.write(text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
  await assert.rejects(
    stream.read(),
    (error) => error instanceof TlsConnectError && error.code === "tls_only",
  );
  stream.close();
});

Deno.test("connectTls refuses a server without HTTP/2 (RFC 9113, 3.2)", async () => {
  const plain = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...server });
  const handshake = (async () => {
    using conn = await plain.accept();
    await conn.read(new Uint8Array(1)).catch(() => {});
  })();
  await assertConnectError(
    connectTls({ hostname: "127.0.0.1", port: plain.addr.port }, trusted)(),
    "no_http2",
  );
  await handshake;
  plain.close();
});

Deno.test("connectTls says which option can't be used, and that nobody listens", async () => {
  const connect = (options: TlsClientOptions) => connectTls({ hostname: "127.0.0.1", port: 1 }, options)();
  await assert.rejects(connect({ ca: "x" }), /Cannot use `ca`: it holds no certificate/);
  await assert.rejects(connect({ cert: client.cert }), /Cannot use `key`: it is missing/);
  await assert.rejects(connect({ ...client, key: server.key }), /Cannot use `key`: it is not the key of/);
  const zeros = "0".repeat(64);
  await assert.rejects(connect({ fingerprints: ["ab"] }), /Cannot use `fingerprints`: "ab" is no SHA-256/);
  await assert.rejects(connect({ fingerprints: [] }), /Cannot use `fingerprints`: there is none/);
  await assert.rejects(connect({ ...trusted, fingerprints: [zeros] }), /`ca` is given beside them/);
  await assertConnectError(connect(trusted), "failed");
});

Deno.test("connectTls ends an attempt by its signal", async () => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const attempt = new AbortController();
  const connecting = connectTls({ hostname: "127.0.0.1", port: silent.addr.port }, trusted)(attempt.signal);
  const accepted = await silent.accept();
  attempt.abort(new Error("enough"));
  await assert.rejects(connecting, /enough/);
  await assert.rejects(
    connectTls({ hostname: "127.0.0.1", port: silent.addr.port }, trusted)(attempt.signal),
    /enough/,
  );
  accepted.close();
  silent.close();
});
