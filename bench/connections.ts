import { Channel, connectTcp } from "@msgbus/grpc";
import { connect } from "@msgbus/sdk";
import { DaemonProcess } from "../tests/daemon_process.ts";
import { median, perSecond, type Row } from "./report.ts";
import { residentBytes } from "./resident.ts";

const IDLE_CONNECTIONS = 10_000;
const IDLE_SUBSCRIBERS = 1_000;
/** Subscriptions of one client, which are calls of one connection. */
const SUBSCRIBERS_OF_A_CLIENT = 100;
const WARM_UP_MESSAGES = 20_000;
const STREAMED_MESSAGES = 2_000_000;
const ROUNDS = 3;
/** Opened at the same time. */
const OPENED_AT_ONCE = 100;
/** For the collector to have done its work. */
const SETTLE_MS = 2_000;

/** The connection preface of a client, and empty SETTINGS (RFC 9113 §3.4). */
const HELLO = Uint8Array.of(
  ...new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  0,
  0,
  0,
  4,
  0,
  0,
  0,
  0,
  0,
);
const SETTINGS_ACK = Uint8Array.of(0, 0, 0, 4, 1, 0, 0, 0, 0);

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

async function openIdle(address: string): Promise<Deno.Conn> {
  const [hostname = "", port] = address.split(":");
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(HELLO);
  await connection.read(new Uint8Array(256));
  await connection.write(SETTINGS_ACK);
  return connection;
}

/** What connections cost that do nothing. */
export async function idleConnections(): Promise<Row[]> {
  await using daemon = await DaemonProcess.start(["--storage", "memory"]);
  await settle();
  const before = residentBytes(daemon.pid);
  const connections: Deno.Conn[] = [];
  while (connections.length < IDLE_CONNECTIONS) {
    const opening = Array.from({ length: OPENED_AT_ONCE }, () => openIdle(daemon.address));
    connections.push(...await Promise.all(opening));
  }
  await settle();
  const each = (residentBytes(daemon.pid) - before) / IDLE_CONNECTIONS;
  for (const connection of connections) connection.close();
  await daemon.stop();
  return [{
    what: `each of ${IDLE_CONNECTIONS.toLocaleString("en-US")} idle connections, resident`,
    durability: "-",
    figure: `${(each / 1_000).toFixed(1)} KB`,
    target: { text: "40 KB", met: each <= 40_000 },
  }];
}

/** What subscribers cost to whom nothing happens: many of a connection, and each on a connection of its own. */
export async function idleSubscribers(): Promise<Row[]> {
  return [
    await subscribersOf(IDLE_SUBSCRIBERS / SUBSCRIBERS_OF_A_CLIENT, { text: "30 MB", bytes: 30e6 }),
    await subscribersOf(IDLE_SUBSCRIBERS, undefined),
  ];
}

async function subscribersOf(
  connections: number,
  target: { readonly text: string; readonly bytes: number } | undefined,
): Promise<Row> {
  await using daemon = await DaemonProcess.start(["--storage", "memory"]);
  const clients = Array.from({ length: connections }, () => connect(daemon.address));
  // The heap of a runtime that has just started grows to its working size in any case.
  const publisher = connect(daemon.address);
  for (let sent = 0; sent < WARM_UP_MESSAGES; sent += OPENED_AT_ONCE) {
    await Promise.all(Array.from({ length: OPENED_AT_ONCE }, () => publisher.publish("warm", "hello")));
  }
  await publisher.publish("idle", "hello");
  await settle();
  const before = residentBytes(daemon.pid);
  const subscribers = Array.from({ length: IDLE_SUBSCRIBERS }, (_, at) => clients[at % connections]);
  await Promise.all(subscribers.map((client) => client?.subscribe("idle").nextBatch()));
  await settle();
  const growth = residentBytes(daemon.pid) - before;
  await Promise.all([publisher, ...clients].map((client) => client.close()));
  await daemon.stop();
  return {
    what: `${IDLE_SUBSCRIBERS.toLocaleString("en-US")} idle subscribers over ${
      connections.toLocaleString("en-US")
    } connections, resident`,
    durability: "-",
    figure: `${(growth / 1e6).toFixed(1)} MB`,
    target: target && { text: target.text, met: growth <= target.bytes },
  };
}

/** How fast one client gets a stream of small messages. */
export async function serverStreaming(): Promise<Row[]> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("stream_server.ts", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const [hostname = "", port] = ((await lines.read()).value ?? "").trim().split(":");
  const rates: number[] = [];
  {
    await using channel = new Channel(connectTcp({ hostname, port: Number(port) }));
    for (let round = 0; round <= ROUNDS; round++) {
      const request = new Uint8Array(4);
      new DataView(request.buffer).setUint32(0, STREAMED_MESSAGES);
      const begin = performance.now();
      const responses = channel.serverStreaming("/bench.Bench/Stream", request);
      let count = 0;
      for (let batch = await responses.nextBatch(); batch !== null; batch = await responses.nextBatch()) {
        count += batch.length;
      }
      if (count !== STREAMED_MESSAGES) throw new Error(`${count} of ${STREAMED_MESSAGES} messages came`);
      // The first round warms both runtimes up.
      if (round > 0) rates.push(count / ((performance.now() - begin) / 1_000));
    }
  }
  await lines.cancel();
  await child.stdin.close();
  await child.status;
  const rate = median(rates);
  return [{
    what: "server streaming of 100-byte messages to one client over TCP",
    durability: "-",
    figure: perSecond(rate),
    target: { text: "300,000/s", met: rate >= 300_000 },
  }];
}
