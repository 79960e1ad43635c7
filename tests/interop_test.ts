/** gRPC libraries that are not ours, against our server, our channel, and the daemon as a process. */
import assert from "node:assert/strict";
import {
  Channel,
  type ChannelOptions,
  connectTcp,
  type Encoding,
  listenMemory,
  listenTcp,
} from "@msgbus/grpc";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";
import { CASES } from "./interop/cases.ts";
import { ChannelClient } from "./interop/channel_client.ts";
import { InteropServer } from "./interop/channel_server.ts";
import { hasNode, NodeServer, runUnderNode } from "./interop/node_program.ts";

async function runCases(t: Deno.TestContext, channel: Channel): Promise<void> {
  const client = new ChannelClient(channel);
  for (const [name, run] of Object.entries(CASES)) await t.step(name, () => run(client));
}

/** Ends a server whose calls have all ended: a handler that still waits fails the test by never settling. */
async function stop(interop: InteropServer, serving: Promise<void>): Promise<void> {
  await interop.idle();
  await interop.server.shutdown(0);
  await serving;
  assert.deepEqual(interop.errors, []);
}

/** Compresses every message, in the encoding. */
function compressing(encoding: Encoding | undefined): ChannelOptions {
  return encoding === undefined ? {} : { compression: { encoding, minBytes: 1 } };
}

for (const encoding of [undefined, "gzip", "zstd", "snappy", "lz4"] as const) {
  Deno.test(`gRPC interop in memory, ${encoding ?? "uncompressed"}: our channel with our server`, async (t) => {
    const interop = new InteropServer();
    const listener = listenMemory();
    const serving = interop.server.serve(listener);
    const channel = new Channel(listener.connect, compressing(encoding));
    await runCases(t, channel);
    await channel.close();
    await stop(interop, serving);
  });
}

for (const encoding of [undefined, "gzip"] as const) {
  const form = encoding ?? "uncompressed";

  Deno.test(`gRPC interop under Node, ${form}: the client of @grpc/grpc-js with our server`, async (t) => {
    if (!await hasNode()) return;
    await using folder = await TempFolder.make();
    const interop = new InteropServer();
    const listener = listenTcp({ hostname: "127.0.0.1", port: 0 });
    const serving = interop.server.serve(listener);
    const printed = await runUnderNode("grpc_js_cases.ts", [listener.address, form], folder.path);
    const results = new Map<string, string | undefined>(
      printed.trim().split("\n").map((line) => JSON.parse(line)).map(({ name, error }) => [name, error]),
    );
    for (const name of Object.keys(CASES)) {
      await t.step(name, () => {
        assert.ok(results.has(name), "the case did not run");
        assert.equal(results.get(name), undefined);
      });
    }
    await stop(interop, serving);
  });

  Deno.test(`gRPC interop under Node, ${form}: our channel with the server of @grpc/grpc-js`, async (t) => {
    if (!await hasNode()) return;
    await using folder = await TempFolder.make();
    await using server = await NodeServer.start("grpc_js_server.ts", folder.path);
    const connect = connectTcp({ hostname: "127.0.0.1", port: server.port });
    await using channel = new Channel(connect, compressing(encoding));
    await runCases(t, channel);
  });
}

Deno.test("@grpc/grpc-js under Node works through the whole contract, over TCP and over a unix socket", async () => {
  if (!await hasNode()) return;
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start([
    "--data",
    `${folder.path}/bus.sqlite`,
    "--listen",
    "127.0.0.1:0",
    "--listen",
    `unix:${folder.path}/bus.sock`,
  ]);
  for (const target of daemon.addresses) {
    assert.equal(await runUnderNode("grpc_js_client.ts", [target], folder.path), "ok\n");
  }
  assert.equal(await daemon.stop(), 0, daemon.log);
});
