/** Calls over TLS: who calls, and what a client hears that is not let in. */
import assert from "node:assert/strict";
import { Channel } from "./channel.ts";
import { refusalFarewell } from "./refusal_farewell.ts";
import { GrpcServer } from "./server.ts";
import type { ServerCall } from "./server_call.ts";
import { Status, StatusError } from "./status.ts";
import { connectTcp } from "./transport/tcp.ts";
import { ServerTls } from "./transport/server_tls.ts";
import { CertificateAuthority } from "./transport/testing/certificate_authority.ts";
import { connectTls, type TlsClientOptions } from "./transport/tls_client.ts";
import { TlsConnectError } from "./transport/tls_connect_error.ts";
import { listenTls } from "./transport/tls_server.ts";

const authority = await CertificateAuthority.create();
const client = await authority.issue({ commonName: "client", dns: ["client.example"] });

class TlsServer implements AsyncDisposable {
  readonly calls: ServerCall[] = [];
  readonly #server: GrpcServer;
  readonly #serving: Promise<void>;
  readonly #port: number;

  private constructor(server: GrpcServer, serving: Promise<void>, port: number) {
    this.#server = server;
    this.#serving = serving;
    this.#port = port;
    server.method("/t.T/Echo", {
      kind: "unary",
      handle: (request, call) => {
        this.calls.push(call);
        return request;
      },
    });
  }

  static async start(): Promise<TlsServer> {
    const server = new GrpcServer();
    const tls = await ServerTls.load({ ...await authority.issueLocal(), clientCa: authority.cert });
    const listener = await listenTls({ hostname: "127.0.0.1", port: 0 }, tls, { farewell: refusalFarewell });
    return new TlsServer(server, server.serve(listener), Number(/:(\d+)$/.exec(listener.address)?.[1]));
  }

  /** One that speaks no TLS. */
  plainChannel(): Channel {
    return new Channel(connectTcp({ hostname: "127.0.0.1", port: this.#port }));
  }

  channel(tls: TlsClientOptions): Channel {
    const address = { hostname: "localhost", port: this.#port };
    return new Channel(connectTls(address, { ca: authority.cert, ...tls }), { scheme: "https" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown(0);
    await this.#serving;
  }
}

Deno.test("a handler knows its client by the certificate, on every call", async () => {
  await using server = await TlsServer.start();
  await using channel = server.channel(client);
  for (const size of [1, 1_000_000]) {
    assert.equal((await channel.unary("/t.T/Echo", new Uint8Array(size))).length, size);
  }
  assert.equal(server.calls.length, 2);
  for (const { identity, peer } of server.calls) {
    assert.equal(identity?.commonName, "client");
    assert.deepEqual(identity?.names, [{ kind: "dns", value: "client.example" }]);
    assert.match(identity?.fingerprint ?? "", /^[0-9a-f]{64}$/);
    assert.match(peer, /^tls:127\.0\.0\.1:\d+$/);
  }
});

Deno.test("a client whose certificate is not accepted hears why (RFC 9113, 7: INADEQUATE_SECURITY)", async () => {
  await using server = await TlsServer.start();
  const foreign = await (await CertificateAuthority.create("other")).issue({ commonName: "client" });
  for (
    const [tls, why] of [
      [{}, /INADEQUATE_SECURITY a client certificate is demanded and none was shown/],
      [foreign, /INADEQUATE_SECURITY no authority that is trusted here vouches for the client certificate/],
    ] as const
  ) {
    await using channel = server.channel(tls);
    await assert.rejects(channel.unary("/t.T/Echo", new Uint8Array(1)), (error) => {
      assert.ok(error instanceof StatusError);
      assert.match(error.message, why);
      return true;
    });
  }
  assert.deepEqual(server.calls, []);
});

Deno.test("a call without TLS to a port that speaks only TLS has that as its cause", async () => {
  await using server = await TlsServer.start();
  await using channel = server.plainChannel();
  await assert.rejects(channel.unary("/t.T/Echo", new Uint8Array(1)), (error) => {
    assert.ok(error instanceof StatusError);
    assert.equal(error.code, Status.UNAVAILABLE);
    assert.ok(error.cause instanceof TlsConnectError);
    assert.equal(error.cause.code, "tls_only");
    return true;
  });
});

Deno.test("a server that shuts down lets a call over TLS finish", async () => {
  const server = new GrpcServer();
  let arrived: () => void = () => {};
  const arrival = new Promise<void>((resolve) => arrived = resolve);
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => finish = resolve);
  server.method("/t.T/Slow", {
    kind: "unary",
    async handle(request) {
      arrived();
      await finished;
      return request;
    },
  });
  const tls = await ServerTls.load(await authority.issueLocal());
  const listener = await listenTls({ hostname: "127.0.0.1", port: 0 }, tls);
  const serving = server.serve(listener);
  const port = Number(/:(\d+)$/.exec(listener.address)?.[1]);
  await using channel = new Channel(connectTls({ hostname: "localhost", port }, { ca: authority.cert }));
  const call = channel.unary("/t.T/Slow", new Uint8Array(100_000));
  await arrival;
  const shutdown = server.shutdown(60_000);
  finish();
  assert.equal((await call).length, 100_000);
  await shutdown;
  await serving;
  await assert.rejects(channel.unary("/t.T/Slow", new Uint8Array(1)), /cannot connect: .*ECONNREFUSED/);
});
