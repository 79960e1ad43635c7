import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import type { ByteStream, Listener } from "../byte_stream.ts";
import { ServerTls } from "../server_tls.ts";
import type { TcpAddress } from "../tcp.ts";
import { CertificateAuthority } from "../testing/certificate_authority.ts";
import { TlsConnectError } from "../tls_connect_error.ts";
import { connectQuic, type QuicConnectOptions } from "./connect.ts";
import { listenQuic } from "./listen.ts";

const HOUR_MS = 3_600_000;
const LOCAL = { hostname: "127.0.0.1", port: 0 };
const authority = await CertificateAuthority.create();
const stranger = await CertificateAuthority.create("stranger");
const good = await ServerTls.load(await authority.issueLocal());
const OPTIONS = { protocol: "test" };
const TRUSTING: QuicConnectOptions = { ...OPTIONS, ca: authority.cert };

function fingerprint(cert: string): string {
  return new X509Certificate(cert).fingerprint256;
}

function addressOf({ address }: Listener): TcpAddress {
  return { ...LOCAL, port: Number(/\d+$/.exec(address)?.[0]) };
}

/** A connection's two ends; a server sees a stream when the first bytes came. */
async function pair(listener: Listener): Promise<[client: ByteStream, server: ByteStream]> {
  const client = await connectQuic(addressOf(listener), TRUSTING)();
  await client.write(Uint8Array.of(0));
  const server = await listener.accept() ?? assert.fail("the listener is closed");
  assert.deepEqual(await server.read(), Uint8Array.of(0));
  return [client, server];
}

async function all(stream: ByteStream): Promise<number> {
  let count = 0;
  for (let bytes = await stream.read(); bytes !== null; bytes = await stream.read()) count += bytes.length;
  return count;
}

Deno.test("a QUIC stream carries bytes both ways, and each end of it", async () => {
  const listener = listenQuic(LOCAL, good, OPTIONS);
  const [client, server] = await pair(listener);
  assert.match(listener.address, /^quic:\/\/127\.0\.0\.1:\d+$/);
  assert.match(server.peer, /^quic:127\.0\.0\.1:\d+$/);
  await client.write(new Uint8Array(0));
  await client.write(Uint8Array.of(1, 2));
  assert.deepEqual(await server.read(), Uint8Array.of(1, 2));
  await client.closeWrite();
  assert.equal(await server.read(), null);
  await server.write(Uint8Array.of(3));
  await server.closeWrite();
  assert.deepEqual(await client.read(), Uint8Array.of(3));
  assert.equal(await client.read(), null);
  client.close();
  server.close();
  listener.close();
});

Deno.test("QuicByteStream.close delivers what was written before, and ends a pending read with null", async () => {
  const listener = listenQuic(LOCAL, good, OPTIONS);
  for (const first of ["client", "server"] as const) {
    const [client, server] = await pair(listener);
    const [closing, other] = first === "client" ? [client, server] : [server, client];
    const pending = closing.read();
    const received = all(other);
    await closing.write(new Uint8Array(300_000));
    closing.close();
    assert.equal(await pending, null);
    assert.equal(await closing.read(), null);
    assert.equal(await received, 300_000, first);
    other.close();
  }
  listener.close();
});

Deno.test("listenQuic refuses an address in use; closed, it refuses whoever comes, and open connections go on", async () => {
  const listener = listenQuic(LOCAL, good, OPTIONS);
  const address = addressOf(listener);
  assert.throws(() => listenQuic(address, good, OPTIONS), Deno.errors.AddrInUse);
  const [client, server] = await pair(listener);
  listener.close();
  assert.equal(await listener.accept(), null);
  await assert.rejects(connectQuic(address, TRUSTING)(), /refused/);
  await client.write(Uint8Array.of(7));
  assert.deepEqual(await server.read(), Uint8Array.of(7), "an open connection goes on");
  server.close();
  client.close();
});

Deno.test("QuicListener.reload shows the new certificate to new connections, and open ones go on", async () => {
  const listener = listenQuic(LOCAL, await ServerTls.load(await stranger.issueLocal()), OPTIONS);
  await assert.rejects(connectQuic(addressOf(listener), TRUSTING)(), { code: "untrusted" });
  listener.reload(good);
  const [client, server] = await pair(listener);
  listener.reload(await ServerTls.load(await stranger.issueLocal()));
  await assert.rejects(connectQuic(addressOf(listener), TRUSTING)(), { code: "untrusted" });
  await client.write(Uint8Array.of(7));
  assert.deepEqual(await server.read(), Uint8Array.of(7));
  client.close();
  server.close();
  listener.close();
});

Deno.test("connectQuic says what is wrong with the server's certificate or protocol", async () => {
  const past = {
    notBefore: new Date(Date.now() - 3 * HOUR_MS),
    notAfter: new Date(Date.now() - 2 * HOUR_MS),
  };
  const pastCredentials = await authority.issueLocal(past);
  const expired = listenQuic(LOCAL, await ServerTls.load(pastCredentials), OPTIONS);
  const listener = listenQuic(LOCAL, good, OPTIONS);
  const refused: readonly (readonly [Listener, QuicConnectOptions, Partial<TlsConnectError>])[] = [
    [listener, OPTIONS, { code: "untrusted" }],
    [expired, TRUSTING, { code: "expired" }],
    [listener, { ...TRUSTING, serverName: "other.example" }, { code: "wrong_name" }],
    [listener, { ...TRUSTING, protocol: "h3" }, { code: "failed" }],
    [listener, { ...OPTIONS, fingerprints: ["0".repeat(64)] }, { code: "wrong_certificate" }],
    [expired, { ...OPTIONS, fingerprints: [fingerprint(pastCredentials.cert)] }, { code: "expired" }],
  ];
  for (const [at, options, expected] of refused) {
    await assert.rejects(connectQuic(addressOf(at), options)(), (error) => {
      assert.ok(error instanceof TlsConnectError, String(error));
      assert.equal(error.code, expected.code, error.message);
      return true;
    });
  }
  listener.close();
  expired.close();
});

Deno.test("connectQuic refuses a certificate of a stranger who has the authority's name", async () => {
  const namesake = await CertificateAuthority.create();
  const listener = listenQuic(LOCAL, await ServerTls.load(await namesake.issueLocal()), OPTIONS);
  await assert.rejects(connectQuic(addressOf(listener), TRUSTING)(), { code: "untrusted" });
  listener.close();
});

Deno.test("connectQuic takes a certificate by its fingerprint, whoever issued it and whatever its name is", async () => {
  const { cert, key } = await stranger.issue({ commonName: "device" });
  const listener = listenQuic(LOCAL, await ServerTls.load({ cert, key }), OPTIONS);
  const options = { ...OPTIONS, fingerprints: ["0".repeat(64), fingerprint(cert)] };
  const client = await connectQuic(addressOf(listener), options)();
  await client.write(Uint8Array.of(1));
  const server = await listener.accept() ?? assert.fail("the listener is closed");
  assert.deepEqual(await server.read(), Uint8Array.of(1));
  client.close();
  server.close();
  await assert.rejects(
    connectQuic(addressOf(listener), { ...options, ca: stranger.cert })(),
    /Cannot use `fingerprints`: `ca` is given beside them/,
  );
  listener.close();
});

Deno.test("connectQuic says that it takes a certificate which its server signed as an authority by its fingerprint only", async () => {
  const own = await stranger.own();
  const listener = listenQuic(LOCAL, await ServerTls.load(own), OPTIONS);
  const connect = (trust: Partial<QuicConnectOptions>) =>
    connectQuic(addressOf(listener), { ...OPTIONS, ...trust })();
  await assert.rejects(connect({ ca: own.cert }), { code: "untrusted", message: /by its fingerprint only/ });
  (await connect({ fingerprints: [fingerprint(own.cert)] })).close();
  listener.close();
});

Deno.test("listenQuic closes a client that opens no stream in time", async () => {
  const listener = listenQuic(LOCAL, good, { ...OPTIONS, handshakeTimeoutMs: 50 });
  const silent = await connectQuic(addressOf(listener), TRUSTING)();
  assert.equal(await silent.read(), null);
  silent.close();
  listener.close();
});

Deno.test("connectQuic ends with the signal where nobody answers", async () => {
  // A socket that is bound and never read.
  const nobody = Deno.listenDatagram({ transport: "udp", ...LOCAL });
  assert.ok(nobody.addr.transport === "udp");
  const { port } = nobody.addr;
  await assert.rejects(connectQuic({ ...LOCAL, port }, TRUSTING)(AbortSignal.timeout(50)), {
    name: "TimeoutError",
  });
  nobody.close();
});

Deno.test("listenQuic refuses credentials that demand client certificates, which it can't ask for", async () => {
  const mutual = await ServerTls.load({ ...await authority.issueLocal(), clientCa: authority.cert });
  assert.throws(() => listenQuic(LOCAL, mutual, OPTIONS), /can't ask for client certificates/);
});

Deno.test("without --unstable-net QUIC says what to do", async () => {
  const code = `import { connectQuic } from ${JSON.stringify(import.meta.resolve("./connect.ts"))};
try { await connectQuic({ hostname: "127.0.0.1", port: 1 }, { protocol: "x" })(); } catch (e) { console.log(e.message); }`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-config", `data:text/javascript,${encodeURIComponent(code)}`],
  }).output();
  assert.match(new TextDecoder().decode(stdout), /^Cannot connect by QUIC: .*use Deno with --unstable-net/);
});
