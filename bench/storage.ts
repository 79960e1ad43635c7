import { connect } from "@msgbus/sdk";
import { DaemonProcess } from "../tests/daemon_process.ts";
import { publishInLanes } from "./rivals/lanes.ts";
import { megabytes, perSecond, type Row } from "./report.ts";
import { residentBytes } from "./resident.ts";
import { keptBytes, writtenBytes } from "./written.ts";

const TOPIC = "bench";
const PAYLOAD_BYTES = 256;
const SMALL_PAYLOAD_BYTES = 8;
const WRITTEN_MESSAGES = 200_000;
const IN_FLIGHT = 5_000;
const FEW_MESSAGES = 200_000;
/** After these the runtime's compiler has done its work, and its heaps have their size. */
const WARM_MESSAGES = 2_000_000;
/**
 * What a daemon may grow by for each message it stores: 20 MB for 10,000,000. The runtime's two heaps may each grow by
 * 8 MB before it collects everything; any memory that was needed for a message would be more.
 */
const MOST_BYTES_PER_MESSAGE = 2;
/** Messages that a daemon stores before its memory is compared with another's: enough for its compiler and heap. */
const WORK_MESSAGES = 1_000_000;
/** Messages that one call erases, so that it ends in time. */
const DELETED_AT_ONCE = 100_000;
/** For the collector to have done its work. */
const SETTLE_MS = 2_000;

/** How many messages the large measurements store: MSGBUS_BENCH_MESSAGES, 10,000,000 where absent. */
const MANY_MESSAGES = Number(Deno.env.get("MSGBUS_BENCH_MESSAGES") ?? 10_000_000);

/** What these measurements need of the bench. */
export interface StorageBench {
  readonly folder: string;
  newData(): string;
}

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
const many = MANY_MESSAGES.toLocaleString("en-US");

/** Bytes on the disk for each message of 256 bytes that no compressor makes smaller. */
export async function writtenAndKept(bench: StorageBench): Promise<Row[]> {
  const folder = await Deno.makeTempDir({ dir: bench.folder });
  await using daemon = await DaemonProcess.start(["--data", `${folder}/bus.sqlite`]);
  const payloads = Array.from({ length: 1_000 }, () => crypto.getRandomValues(new Uint8Array(PAYLOAD_BYTES)));
  const before = writtenBytes(daemon.pid);
  let next = 0;
  {
    await using client = connect(daemon.address);
    await publishInLanes(
      WRITTEN_MESSAGES,
      IN_FLIGHT,
      () => client.publish(TOPIC, payloads[next++ % payloads.length] ?? ""),
    );
  }
  const written = (writtenBytes(daemon.pid) - before) / WRITTEN_MESSAGES;
  await daemon.stop();
  const kept = await keptBytes(folder) / WRITTEN_MESSAGES;
  const load = `of a message of ${PAYLOAD_BYTES} bytes, ${IN_FLIGHT.toLocaleString("en-US")} in flight`;
  const row = (what: string, bytes: number, most: number): Row => ({
    what: `bytes ${what} ${load}`,
    durability: "group commit",
    figure: `${Math.round(bytes)} bytes = ${(bytes / PAYLOAD_BYTES).toFixed(2)} × its payload`,
    target: { text: `${Math.floor(most)} bytes`, met: bytes <= most },
  });
  return [row("written", written, 2.2 * PAYLOAD_BYTES), row("kept", kept, 300)];
}

/**
 * Whether memory grows with what is stored: of a daemon that has stored it all, and of one that is started with it and
 * then does the same work as one with little.
 */
export async function residentGrowth(bench: StorageBench): Promise<Row[]> {
  const [data, smallData] = [bench.newData(), bench.newData()];
  const resident: number[] = [];
  {
    await using daemon = await DaemonProcess.start(["--data", data]);
    let stored = 0;
    for (const messages of [FEW_MESSAGES, WARM_MESSAGES, MANY_MESSAGES]) {
      await fill(daemon.address, Math.max(0, messages - stored));
      stored = Math.max(stored, messages);
      await settle();
      resident.push(residentBytes(daemon.pid));
    }
    await daemon.stop();
  }
  {
    await using daemon = await DaemonProcess.start(["--data", smallData]);
    await fill(daemon.address, FEW_MESSAGES);
    await daemon.stop();
  }
  const [few = NaN, warm = NaN, all = NaN] = resident;
  const grown = (all - few) / (MANY_MESSAGES - FEW_MESSAGES);
  const small = await residentAfterWork(smallData);
  const large = await residentAfterWork(data);
  const withFew = `with ${FEW_MESSAGES.toLocaleString("en-US")}`;
  return [{
    what: `resident with ${many} messages that one daemon stored, against its first`,
    durability: "group commit",
    figure: `${megabytes(all)}, ${grown.toFixed(2)} bytes more for each`,
    against: { what: `${withFew} (${megabytes(few)})`, ratio: all / few },
    target: { text: `${MOST_BYTES_PER_MESSAGE} bytes`, met: grown <= MOST_BYTES_PER_MESSAGE },
  }, {
    what: `the same, against what it had with ${WARM_MESSAGES.toLocaleString("en-US")}`,
    durability: "group commit",
    figure: megabytes(all),
    against: { what: `then (${megabytes(warm)})`, ratio: all / warm },
    target: { text: "1.05 ×", met: all / warm <= 1.05 },
  }, {
    what: `resident of a daemon started with ${many} messages, after storing and replaying more`,
    durability: "group commit",
    figure: megabytes(large),
    against: { what: `${withFew} (${megabytes(small)})`, ratio: large / small },
    target: { text: "1.05 ×", met: large / small <= 1.05 },
  }];
}

/** What a daemon with these messages has resident after it stored and replayed some more. */
async function residentAfterWork(data: string): Promise<number> {
  await using daemon = await DaemonProcess.start(["--data", data]);
  await fill(daemon.address, WORK_MESSAGES);
  {
    await using client = connect(daemon.address);
    const consumed = client.consume(TOPIC, { from: "oldest" });
    for (let left = FEW_MESSAGES; left > 0;) left -= (await consumed.nextBatch())?.length ?? left;
    consumed.close();
  }
  await settle();
  const bytes = residentBytes(daemon.pid);
  await daemon.stop();
  return bytes;
}

/** From start to Ready, by what is stored. */
export async function readyWithMany(bench: StorageBench): Promise<Row[]> {
  const data = bench.newData();
  const empty = await startMs(bench.newData());
  {
    await using daemon = await DaemonProcess.start(["--data", data]);
    await fill(daemon.address, MANY_MESSAGES);
    await daemon.stop();
  }
  const full = await startMs(data);
  return [{
    what: `from start to Ready with ${many} messages, process start and module loading included`,
    durability: "-",
    figure: `${Math.round(full)} ms`,
    against: { what: `with none (${Math.round(empty)} ms)`, ratio: full / empty },
    target: { text: "300 ms", met: full <= 300 },
  }];
}

/** How fast a reader gets over deleted messages to the one that is left. */
export async function tombstones(bench: StorageBench): Promise<Row[]> {
  await using daemon = await DaemonProcess.start(["--data", bench.newData()]);
  await fill(daemon.address, MANY_MESSAGES, SMALL_PAYLOAD_BYTES);
  await using client = connect(daemon.address);
  const { headId: last } = await client.publish(TOPIC, "the one that is left");
  const begin = performance.now();
  for (let from = 1; from < last; from += DELETED_AT_ONCE) {
    const to = Math.min(last - 1, from + DELETED_AT_ONCE - 1);
    await client.deleteRange(TOPIC, { from, to });
  }
  const deleted = performance.now();
  const readAll = async (skipDeleted: boolean) => {
    const begin = performance.now();
    const stream = client.consume(TOPIC, { skipDeleted });
    for (let head = 0; head < last;) head = (await stream.nextBatch())?.at(-1)?.headId ?? head;
    stream.close();
    return performance.now() - begin;
  };
  const given = await readAll(false);
  const skipped = await readAll(true);
  await daemon.stop();
  const perSecondIn = (ms: number) => (last - 1) / (ms / 1_000);
  const rate = (ms: number) => perSecond(perSecondIn(ms));
  return [
    {
      what: `deleting ${many} messages, ${DELETED_AT_ONCE.toLocaleString("en-US")} a call`,
      durability: "group commit",
      figure: rate(deleted - begin),
      target: undefined,
    },
    {
      what: `replay over ${many} deleted messages`,
      durability: "-",
      figure: rate(given),
      target: undefined,
    },
    {
      what: `skipping ${many} deleted messages`,
      durability: "-",
      figure: rate(skipped),
      target: { text: "1,000,000/s", met: perSecondIn(skipped) >= 1e6 },
    },
  ];
}

async function startMs(data: string): Promise<number> {
  const begin = performance.now();
  await using daemon = await DaemonProcess.start(["--data", data]);
  await using client = connect(daemon.address);
  await client.ready();
  const took = performance.now() - begin;
  await daemon.stop();
  return took;
}

/** Adds so many messages. */
async function fill(address: string, messages: number, payloadBytes = PAYLOAD_BYTES): Promise<void> {
  await using client = connect(address);
  const payload = crypto.getRandomValues(new Uint8Array(payloadBytes));
  await publishInLanes(messages, IN_FLIGHT, () => client.publish(TOPIC, payload));
}
