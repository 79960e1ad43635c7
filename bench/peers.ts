/** What copying between daemons costs: catching up, being live, a small difference among much, and nothing at all. */
import { type Client, connect } from "@msgbus/sdk";
import { DaemonProcess } from "../tests/daemon_process.ts";
import { quantile } from "../tests/hostile/bystander.ts";
import { CountingProxy } from "./counting_proxy.ts";
import { median, perSecond, type Row } from "./report.ts";

const CATCH_UP_MESSAGES = 1_000_000;
const PAYLOAD_BYTES = 100;
const LIVE_RATE = 1_000;
const LIVE_MS = 10_000;
const LOGS = 10_000;
const MESSAGES_PER_LOG = 100;
const IDLE_MS = 20_000;
const ROUNDS = 3;

/** What peers need of the bench. */
export interface PeersBench {
  newData(): string;
  fill(messages: number): Promise<string>;
}

const node = (deviceId: string) => ({ tenantId: "tenant", blName: "default", deviceId });

function startPeer(data: string, peer: string, deviceId = "b"): Promise<DaemonProcess> {
  return DaemonProcess.start(["--data", data, "--device-id", deviceId, "--peer", `http://${peer}`]);
}

/** Waits until the daemon has a head. */
async function untilHead(client: Client, topic: string, headId: number): Promise<void> {
  while ((await client.head(topic, { origin: node("device") }) ?? 0) < headId) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** 1,000,000 messages to a daemon that has none, against their replay to a local client. */
export async function catchUp(bench: PeersBench): Promise<Row[]> {
  const data = await bench.fill(CATCH_UP_MESSAGES);
  const rates: { copy: number; replay: number }[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await using origin = await DaemonProcess.start(["--data", data]);
    await using reader = connect(origin.address);
    let from = performance.now();
    let count = 0;
    const replay = reader.subscribe("bench", { pageSize: 1_000 });
    while (count < CATCH_UP_MESSAGES) count += (await replay.nextBatch())?.length ?? 0;
    await replay.close();
    const replayed = performance.now() - from;
    await using copy = await startPeer(bench.newData(), origin.address);
    await using client = connect(copy.address);
    await untilHead(client, "bench", 1);
    from = performance.now();
    const begun = await client.head("bench", { origin: node("device") }) ?? 0;
    await untilHead(client, "bench", CATCH_UP_MESSAGES);
    const copied = performance.now() - from;
    rates.push({
      copy: (CATCH_UP_MESSAGES - begun) / (copied / 1_000),
      replay: CATCH_UP_MESSAGES / (replayed / 1_000),
    });
  }
  const ratio = median(rates.map(({ copy, replay }) => copy / replay));
  return [{
    what: "catch-up of 1,000,000 messages of 100 bytes between two daemons",
    durability: "group commit",
    figure: perSecond(median(rates.map(({ copy }) => copy))),
    against: {
      what: `replay to a local client (${perSecond(median(rates.map(({ replay }) => replay)))})`,
      ratio,
    },
    target: { text: "0.5 ×", met: ratio >= 0.5 },
  }];
}

/** From publishing here to a subscriber there, at a steady rate. */
export async function live(bench: PeersBench): Promise<Row[]> {
  await using origin = await DaemonProcess.start(["--data", bench.newData()]);
  await using peer = await startPeer(bench.newData(), origin.address);
  await using publisher = connect(origin.address);
  await using follower = connect(peer.address);
  const total = LIVE_RATE * LIVE_MS / 1_000;
  const sent = new Float64Array(total + 1);
  const latencies: number[] = [];
  const stream = follower.subscribe("live", { origin: node("device") });
  const following = (async () => {
    while (latencies.length < total) {
      const now = await stream.nextBatch();
      for (const { headId } of now ?? []) latencies.push(performance.now() - (sent[headId] ?? 0));
    }
  })();
  const begin = performance.now();
  const acknowledged: Promise<unknown>[] = [];
  for (let next = 1; next <= total;) {
    for (const due = (performance.now() - begin) * LIVE_RATE / 1_000; next <= Math.min(due, total); next++) {
      sent[next] = begin + next * 1_000 / LIVE_RATE; // when it was due, so that what waits is counted
      acknowledged.push(publisher.publish("live", new Uint8Array(PAYLOAD_BYTES)));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(acknowledged);
  await following;
  await stream.close();
  // The first second warms the compiler of the runtime up, in all three processes.
  const p99 = quantile(latencies.slice(LIVE_RATE).sort((a, b) => a - b), 0.99);
  return [{
    what: "p99 from publish to the subscriber of a connected peer, at 1,000/s",
    durability: "group commit",
    figure: `${p99.toFixed(1)} ms`,
    target: { text: "15 ms", met: p99 <= 15 },
  }];
}

/** One message that lacks, among 1,000,000 in 10,000 logs; then nothing that lacks. */
export async function smallDifference(bench: PeersBench): Promise<Row[]> {
  await using origin = await DaemonProcess.start(["--data", bench.newData()]);
  await using publisher = connect(origin.address);
  const payload = new Uint8Array(PAYLOAD_BYTES);
  for (let round = 0; round < MESSAGES_PER_LOG; round++) {
    for (let log = 0; log < LOGS; log += 2_000) {
      await Promise.all(
        Array.from({ length: 2_000 }, (_, at) => publisher.publish(`logs.${log + at}`, payload)),
      );
    }
  }
  await using proxy = new CountingProxy(origin.address);
  await using peer = await startPeer(bench.newData(), proxy.address);
  await using client = connect(peer.address);
  const from = performance.now();
  for (let log = 0; log < LOGS; log++) {
    if (log % 500 === 499 || log === LOGS - 1) await untilHead(client, `logs.${log}`, MESSAGES_PER_LOG);
  }
  const first = LOGS * MESSAGES_PER_LOG / ((performance.now() - from) / 1_000);
  // What was told is remembered a little later.
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  const times: number[] = [];
  const bytes: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    proxy.shut();
    await publisher.publish("logs.7", payload);
    const before = proxy.bytes;
    proxy.open();
    await untilHead(client, "logs.7", MESSAGES_PER_LOG + round);
    times.push(performance.now() - proxy.lastConnectionMs);
    bytes.push(proxy.bytes - before);
    await new Promise((resolve) => setTimeout(resolve, 8_000));
  }
  const quiet = proxy.bytes;
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idle = (proxy.bytes - quiet) / (IDLE_MS / 1_000);
  const one = "one message that lacks among 1,000,000 in 10,000 logs";
  return [
    {
      what: "first catch-up of 10,000 logs with 100 messages each",
      durability: "group commit",
      figure: perSecond(first),
      target: undefined,
    },
    {
      what: `${one}: bytes on the wire`,
      durability: "-",
      figure: `${median(bytes)} bytes`,
      target: { text: "64 KB", met: median(bytes) < 64_000 },
    },
    {
      what: `${one}: time from the connection`,
      durability: "group commit",
      figure: `${Math.round(median(times))} ms`,
      target: { text: "200 ms", met: median(times) < 200 },
    },
    {
      what: "idle connected peers",
      durability: "-",
      figure: `${idle.toFixed(1)} bytes/s`,
      target: { text: "100 bytes/s", met: idle < 100 },
    },
  ];
}
