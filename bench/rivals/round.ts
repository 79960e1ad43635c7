import { fdatasyncRate } from "../fdatasync.ts";
import { residentBytes } from "../resident.ts";
import { keptBytes, writtenBytes } from "../written.ts";
import { warmUpOf } from "./lanes.ts";
import type { Durability, InFlight, RunningSystem, System } from "./system.ts";

/** What one system did in one round of one row. */
export interface Figures {
  readonly durability: Durability;
  /** How the load was put on. */
  readonly load: string;
  /** The setting that the label rests on, as the running server told it. */
  readonly proof: string;
  readonly messages: number;
  readonly payloadBytes: number;
  /** Messages or deliveries a second; undefined where only what they cost is of interest. */
  readonly perSecond: number | undefined;
  /** Whether the rate is that of acknowledged messages, which a disk's syncs bound when there is one for each. */
  readonly acknowledges: boolean;
  readonly messagesPerCommit: number | undefined;
  readonly writtenPerMessage: number | undefined;
  readonly keptPerMessage: number | undefined;
  readonly residentBytes: number;
}

/** One row of the comparison. */
export interface RowPlan {
  readonly name: string;
  /** Measures a system; undefined where the row makes no sense for it. */
  measure(system: System, folders: Folders): Promise<Figures | undefined>;
}

/** Data folders on one disk. */
export class Folders {
  readonly #base: string;
  readonly #filled = new Map<string, Promise<string>>();

  /** Below this folder. */
  constructor(base: string) {
    this.#base = base;
  }

  /** Appends of 256 bytes a second that the disk makes durable. */
  floor(): Promise<number> {
    return fdatasyncRate(this.#base, 0.5);
  }

  /** A fresh one. Whoever asks for it removes it. */
  make(): Promise<string> {
    return Deno.makeTempDir({ dir: this.#base });
  }

  /** One in which the system has so many messages; made once for all rounds. */
  filled(system: System, messages: number, payloadBytes: number): Promise<string> {
    let folder = this.#filled.get(system.name);
    if (folder === undefined) {
      folder = this.#fill(system, messages, payloadBytes);
      this.#filled.set(system.name, folder);
    }
    return folder;
  }

  async #fill(system: System, messages: number, payloadBytes: number): Promise<string> {
    const folder = await this.make();
    await using server = await system.start(folder);
    await server.fill(messages, payloadBytes);
    await server.stop();
    return folder;
  }
}

/** Whether each message has a sync of its own even with many in flight, which is too slow for large counts. */
export function syncsEach(system: System): boolean {
  return system.messagesPerCommit(5_000) === 1;
}

/** A row of publishing with so many in flight. `eachMessages` are for systems that sync each message. */
export function publishRow(
  inFlight: InFlight,
  payloadBytes: number,
  messages: number,
  eachMessages: number,
): RowPlan {
  const flight = inFlight === 1 ? "one" : inFlight.toLocaleString("en-US");
  return {
    name: `publish, ${payloadBytes} bytes, ${flight} in flight`,
    measure: (system, folders) =>
      measurePublish(system, folders, inFlight, payloadBytes, syncsEach(system) ? eachMessages : messages),
  };
}

async function measurePublish(
  system: System,
  folders: Folders,
  inFlight: InFlight,
  payloadBytes: number,
  messages: number,
): Promise<Figures> {
  return await withFresh(system, folders, async (server) => {
    const before = writtenBytes(server.pid);
    const perSecond = await server.publish(inFlight, messages, payloadBytes);
    const stored = warmUpOf(messages) + messages;
    return {
      stored,
      figures: {
        durability: system.durability(inFlight),
        load: system.load(inFlight),
        proof: server.proof,
        messages,
        payloadBytes,
        perSecond,
        acknowledges: true,
        messagesPerCommit: system.messagesPerCommit(inFlight),
        writtenPerMessage: (writtenBytes(server.pid) - before) / stored,
        residentBytes: residentBytes(server.pid),
      },
    };
  });
}

/** The same messages read again by one consumer, from a server that has just started. */
export function replayRow(payloadBytes: number, messages: number): RowPlan {
  return {
    name: `replay of ${messages.toLocaleString("en-US")} to one consumer, ${payloadBytes} bytes`,
    async measure(system, folders) {
      // Reading does not depend on how it was written, and filling would take an hour.
      if (syncsEach(system)) return undefined;
      await using server = await system.start(await folders.filled(system, messages, payloadBytes));
      const perSecond = await server.replay(messages);
      const figures: Figures = {
        durability: "-",
        load: system.replayLoad,
        proof: server.proof,
        messages,
        payloadBytes,
        perSecond,
        acknowledges: false,
        messagesPerCommit: undefined,
        writtenPerMessage: undefined,
        keptPerMessage: undefined,
        residentBytes: residentBytes(server.pid),
      };
      await server.stop();
      return figures;
    },
  };
}

/** One publisher to live subscribers; the rate is that of deliveries. */
export function fanoutRow(subscribers: number, payloadBytes: number, messages: number): RowPlan {
  return {
    name: `fan-out 1 to ${subscribers}, ${payloadBytes} bytes, deliveries`,
    measure: (system, folders) =>
      withFresh(system, folders, async (server) => {
        const before = writtenBytes(server.pid);
        const perSecond = await server.fanout(subscribers, messages, payloadBytes);
        const stored = warmUpOf(messages) + messages;
        return {
          stored,
          figures: {
            durability: system.durability(50),
            load: system.fanoutLoad,
            proof: server.proof,
            messages,
            payloadBytes,
            perSecond,
            acknowledges: false,
            messagesPerCommit: system.messagesPerCommit(50),
            writtenPerMessage: (writtenBytes(server.pid) - before) / stored,
            residentBytes: residentBytes(server.pid),
          },
        };
      }),
  };
}

/** What so many stored messages cost. */
export function storedRow(payloadBytes: number, messages: number): RowPlan {
  return {
    name: `${messages.toLocaleString("en-US")} stored, ${payloadBytes} bytes`,
    async measure(system, folders) {
      if (syncsEach(system)) return undefined;
      return await withFresh(system, folders, async (server) => {
        await server.fill(messages, payloadBytes);
        return {
          stored: messages,
          figures: {
            durability: system.durability(5_000),
            load: "the fastest way to fill it",
            proof: server.proof,
            messages,
            payloadBytes,
            perSecond: undefined,
            acknowledges: false,
            messagesPerCommit: undefined,
            writtenPerMessage: writtenBytes(server.pid) / messages,
            residentBytes: residentBytes(server.pid),
          },
        };
      });
    },
  };
}

/** Runs a server in a fresh folder and adds what the folder keeps for each stored message when it has stopped. */
async function withFresh(
  system: System,
  folders: Folders,
  work: (
    server: RunningSystem,
  ) => Promise<{ stored: number; figures: Omit<Figures, "keptPerMessage"> }>,
): Promise<Figures> {
  const folder = await folders.make();
  try {
    await using server = await system.start(folder);
    const { stored, figures } = await work(server);
    await server.stop();
    return { ...figures, keptPerMessage: await keptBytes(folder) / stored };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
