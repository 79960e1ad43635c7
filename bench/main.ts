/**
 * `deno task bench [word …]`: what msgbus must reach, measured on this machine and printed as ratios of one run. With
 * words, only the measurements whose name contains one of them. Data goes below MSGBUS_BENCH_DIR (default: a folder
 * beside the working directory's files), which must not lie in memory. MSGBUS_BENCH_MESSAGES is the 10,000,000 of the
 * measurements that have it in their name, for machines with less time or disk.
 */
import { connect } from "@msgbus/sdk";
import { CertificateAuthority } from "../grpc/transport/testing/certificate_authority.ts";
import { unixAgainstTcp } from "./transports.ts";
import { DaemonProcess } from "../tests/daemon_process.ts";
import { idleConnections, idleSubscribers, serverStreaming } from "./connections.ts";
import { fdatasyncRate } from "./fdatasync.ts";
import { h2loadRate, publishBody } from "./h2load.ts";
import { hostile } from "./hostile.ts";
import { catchUp, live, smallDifference } from "./peers.ts";
import { available, H2LOAD, REDIS_SERVER } from "./programs.ts";
import { RedisServer } from "./redis.ts";
import { median, megabytes, perSecond, printRow, type Row } from "./report.ts";
import { residentBytes } from "./resident.ts";
import { deliveryAtRate } from "./open_loop.ts";
import { readyWithMany, residentGrowth, tombstones, writtenAndKept } from "./storage.ts";

const PAYLOAD_BYTES = 100;
const ROUNDS = 3;

/**
 * Publishes before a rate is taken, in the way that is measured: that shall be a daemon that runs, and not its compiler,
 * which works on what is new in each way for some seconds.
 */
const WARMING_CALLS = 20_000;
const STORED_MESSAGES = 1_000_000;

/** The folder and the figures that several measurements share. */
class Bench {
  readonly folder: string;
  readonly bodyFile: string;
  #files = 0;

  constructor(folder: string) {
    this.folder = folder;
    this.bodyFile = `${folder}/publish.bin`;
    Deno.writeFileSync(this.bodyFile, publishBody(PAYLOAD_BYTES));
  }

  newData(): string {
    return `${this.folder}/bench-${++this.#files}.sqlite`;
  }

  async publishRate(
    storage: "sqlite" | "memory",
    connections: number,
    streams: number,
    calls: number,
  ): Promise<number> {
    await using daemon = await DaemonProcess.start(["--storage", storage, "--data", this.newData()]);
    const load = { address: daemon.address, bodyFile: this.bodyFile };
    await h2loadRate({ ...load, connections, streams, calls: WARMING_CALLS });
    const rate = await h2loadRate({ ...load, connections, streams, calls });
    await requireStored(daemon.address, WARMING_CALLS + calls);
    await daemon.stop();
    return rate;
  }

  async fill(messages: number): Promise<string> {
    const data = this.newData();
    await using daemon = await DaemonProcess.start(["--data", data]);
    await h2loadRate({
      address: daemon.address,
      bodyFile: this.bodyFile,
      connections: 1,
      streams: 500,
      calls: messages,
    });
    await requireStored(daemon.address, messages);
    await daemon.stop();
    return data;
  }
}

/** The measurements by name. Each returns its rows. */
const MEASUREMENTS: Readonly<Record<string, (bench: Bench) => Promise<Row[]>>> = {
  "publish 50 in flight": async (bench) => {
    if (!await available(H2LOAD, "publishing with 50 in flight")) return [];
    if (!await available(REDIS_SERVER, "publishing against Redis")) return [];
    const rates: { redis: number; connections: number; streams: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await using redis = await RedisServer.start(await Deno.makeTempDir({ dir: bench.folder }));
      await redis.xaddRate(50, 20_000, PAYLOAD_BYTES);
      rates.push({
        redis: await redis.xaddRate(50, 100_000, PAYLOAD_BYTES),
        connections: await bench.publishRate("sqlite", 50, 1, 100_000),
        streams: await bench.publishRate("sqlite", 1, 50, 100_000),
      });
    }
    const against = "Redis XADD, appendfsync always, 50 connections";
    const row = (what: string, key: "connections" | "streams"): Row => {
      const ratio = median(rates.map((rate) => rate[key] / rate.redis));
      return {
        what,
        durability: "group commit",
        figure: perSecond(median(rates.map((rate) => rate[key]))),
        against: { what: `${against} (${perSecond(median(rates.map(({ redis }) => redis)))})`, ratio },
        target: { text: "1 ×", met: ratio >= 1 },
      };
    };
    return [
      row("unary publish, 50 connections with 1 call in flight each", "connections"),
      row("unary publish, 1 connection with 50 calls in flight", "streams"),
    ];
  },

  "publish one in flight": async (bench) => {
    if (!await available(H2LOAD, "publishing with one in flight")) return [];
    const rates: { floor: number; publish: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const before = await fdatasyncRate(bench.folder);
      const publish = await bench.publishRate("sqlite", 1, 1, 10_000);
      // The disk has other users, and what they do to it changes within seconds.
      rates.push({ floor: (before + await fdatasyncRate(bench.folder)) / 2, publish });
    }
    const ratio = median(rates.map(({ floor, publish }) => publish / floor));
    return [{
      what: "unary publish, one in flight",
      durability: "fsync before every ack",
      figure: perSecond(median(rates.map(({ publish }) => publish))),
      against: {
        what: `fdatasync of the folder (${perSecond(median(rates.map(({ floor }) => floor)))})`,
        ratio,
      },
      target: { text: "0.9 ×", met: ratio >= 0.9 },
    }];
  },

  "publish in memory": async (bench) => {
    if (!await available(H2LOAD, "publishing into memory")) return [];
    const rates: { ours: number; rival: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      rates.push({
        ours: await bench.publishRate("memory", 1, 50, 200_000),
        rival: await grpcJsRate(bench.bodyFile),
      });
    }
    const ratio = median(rates.map(({ ours, rival }) => ours / rival));
    return [{
      what: "unary publish, 50 in flight, memory store",
      durability: "memory",
      figure: perSecond(median(rates.map(({ ours }) => ours))),
      against: {
        what: `@grpc/grpc-js server on Deno (${perSecond(median(rates.map(({ rival }) => rival)))})`,
        ratio,
      },
      target: { text: "8 ×", met: ratio >= 8 },
    }];
  },

  "publish over TLS": async (bench) => {
    if (!await available(H2LOAD, "publishing over TLS")) return [];
    const { cert, key } = await (await CertificateAuthority.create()).issueLocal();
    const [certPath, keyPath] = [`${bench.folder}/cert.pem`, `${bench.folder}/key.pem`];
    await Deno.writeTextFile(certPath, cert);
    await Deno.writeTextFile(keyPath, key, { mode: 0o600 });
    const rates: { plain: number; secure: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await using daemon = await DaemonProcess.start([
        ...["--storage", "memory", "--tls-cert", certPath, "--tls-key", keyPath],
        ...["--listen", "http://127.0.0.1:0", "--listen", "https://127.0.0.1:0"],
      ]);
      const [plain = "", secure = ""] = daemon.addresses;
      const rate = (address: string, calls: number) =>
        h2loadRate({ address, bodyFile: bench.bodyFile, connections: 1, streams: 50, calls });
      // The compiler of the runtime is warm for both before either is measured.
      for (const address of [plain, secure]) await rate(address, 60_000);
      rates.push({ plain: await rate(plain, 60_000), secure: await rate(secure, 60_000) });
      await daemon.stop();
    }
    const ratio = median(rates.map(({ plain, secure }) => secure / plain));
    return [{
      what: "unary publish over TLS, 50 in flight, memory store",
      durability: "memory",
      figure: perSecond(median(rates.map(({ secure }) => secure))),
      against: {
        what: `the same without TLS (${perSecond(median(rates.map(({ plain }) => plain)))})`,
        ratio,
      },
      target: { text: "0.5 ×", met: ratio >= 0.5 },
    }];
  },

  "replay, start and idle": async (bench) => {
    if (!await available(H2LOAD, "replay, start and idle memory")) return [];
    const data = await bench.fill(STORED_MESSAGES);
    const starts: number[] = [];
    const replays: number[] = [];
    const consumed: number[] = [];
    const idles: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const begin = performance.now();
      await using daemon = await DaemonProcess.start(["--data", data]);
      await using client = connect(daemon.address);
      await client.ready();
      starts.push(performance.now() - begin);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      idles.push(residentBytes(daemon.pid));
      const from = performance.now();
      let count = 0;
      const subscription = client.subscribe("bench", { pageSize: 1_000 });
      while (count < STORED_MESSAGES) count += (await subscription.nextBatch())?.length ?? 0;
      replays.push(STORED_MESSAGES / ((performance.now() - from) / 1_000));
      await subscription.close();
      const begun = performance.now();
      const consumer = client.consume("bench", { follow: false });
      let given = 0;
      for (let batch = await consumer.nextBatch(); batch !== null; batch = await consumer.nextBatch()) {
        given += batch.length;
      }
      consumed.push(given / ((performance.now() - begun) / 1_000));
      await daemon.stop();
    }
    return [
      {
        what: "replay of 1,000,000 messages by consume() of the SDK",
        durability: "-",
        figure: perSecond(median(consumed)),
        target: { text: "500,000/s", met: median(consumed) >= 500_000 },
      },
      {
        what: "replay of 1,000,000 messages by subscribe() of the SDK",
        durability: "-",
        figure: perSecond(median(replays)),
        target: { text: "250,000/s", met: median(replays) >= 250_000 },
      },
      {
        what: "from start to Ready with 1,000,000 messages, process start and module loading included",
        durability: "-",
        figure: `${Math.round(median(starts))} ms`,
        target: { text: "1,000 ms", met: median(starts) <= 1_000 },
      },
      {
        what: "idle daemon, resident",
        durability: "-",
        figure: megabytes(median(idles)),
        target: { text: "80 MB", met: median(idles) <= 80e6 },
      },
    ];
  },

  "written and kept": writtenAndKept,
  "resident memory 200,000 to 10,000,000": residentGrowth,
  "ready with 10,000,000": readyWithMany,
  "tombstones": tombstones,
  "delivery at 10,000 a second": deliveryAtRate,
  "unix sockets": ({ folder, bodyFile }) => unixAgainstTcp(folder, bodyFile),
  "idle connections": idleConnections,
  "idle subscribers": idleSubscribers,
  "server streaming": serverStreaming,
  "peers, catching up": catchUp,
  "peers, live": live,
  "peers, a small difference": smallDifference,
  "hostile": (bench) => hostile(bench.newData()),

  "paused subscriber": async (bench) => {
    await using daemon = await DaemonProcess.start(["--data", bench.newData()]);
    await using publisher = connect(daemon.address);
    await using paused = connect(daemon.address);
    await using fast = connect(daemon.address);
    const stop = AbortSignal.timeout(25_000);
    const pausedSubscription = paused.subscribe("bench", { signal: stop });
    await publisher.publish("bench", new Uint8Array(PAYLOAD_BYTES));
    await pausedSubscription.nextBatch();
    let delivered = 0;
    const following = (async () => {
      const subscription = fast.subscribe("bench", { signal: stop });
      for (
        let batch = await subscription.nextBatch();
        batch !== null;
        batch = await subscription.nextBatch()
      ) {
        delivered += batch.length;
      }
    })();
    const payload = new Uint8Array(PAYLOAD_BYTES);
    let published = 0;
    let before = 0;
    let most = 0;
    const publishFor = async (seconds: number) => {
      const end = performance.now() + seconds * 1_000;
      await Promise.all(Array.from({ length: 50 }, async () => {
        while (performance.now() < end) {
          await publisher.publish("bench", payload);
          published++;
        }
      }));
    };
    // The heap of a runtime that has just started grows to its working size in any case.
    await publishFor(4);
    before = residentBytes(daemon.pid);
    const watch = setInterval(() => most = Math.max(most, residentBytes(daemon.pid)), 100);
    const warm = published;
    await publishFor(20);
    clearInterval(watch);
    await following;
    await daemon.stop();
    const growth = Math.max(0, most - before);
    return [{
      what:
        `20 s of publishing (${
          perSecond((published - warm) / 20)
        }) with one paused and one fast subscriber ` +
        `(${delivered.toLocaleString("en-US")} delivered): growth of the daemon's resident memory`,
      durability: "group commit",
      figure: `${megabytes(growth)} (from ${megabytes(before)})`,
      target: { text: "50 MB", met: growth < 50e6 },
    }];
  },
};

/** h2load sees HTTP statuses only: that every call was answered well shows in the head. */
async function requireStored(address: string, calls: number): Promise<void> {
  await using client = connect(address);
  const head = await client.head("bench");
  if (head !== calls) throw new Error(`${head} of ${calls} publishes are stored`);
}

async function grpcJsRate(bodyFile: string): Promise<number> {
  const script = new URL("grpc_js_server.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script],
    stdout: "piped",
    stderr: "null",
  })
    .spawn();
  try {
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    // One load without a warm-up: the server may abort when a client disconnects (denoland/deno#36788).
    const address = value?.trim() ?? "";
    const rate = await h2loadRate({ address, bodyFile, connections: 1, streams: 50, calls: 60_000 });
    await reader.cancel();
    return rate;
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has aborted already.
    }
    await child.status;
  }
}

if (import.meta.main) {
  const base = Deno.env.get("MSGBUS_BENCH_DIR") ?? ".";
  const folder = await Deno.makeTempDir({ dir: base, prefix: "msgbus-bench-" });
  let missed = 0;
  try {
    const bench = new Bench(folder);
    for (const [name, measure] of Object.entries(MEASUREMENTS)) {
      if (Deno.args.length > 0 && !Deno.args.some((word) => name.includes(word))) continue;
      for (const row of await measure(bench)) {
        printRow(row);
        if (row.target?.met === false) missed++;
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(missed === 0 ? "every target is met" : `${missed} targets are missed`);
}
