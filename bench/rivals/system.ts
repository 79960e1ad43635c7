import type { Row } from "../report.ts";

/** What an acknowledgement means. */
export type Durability = Row["durability"];

/** How publishes are put on: one at a time, from 50 clients, or as many as the system takes at its best. */
export type InFlight = 1 | 50 | 5_000;

/** A system under measurement, in one configuration. */
export interface System {
  /** Its name, with what is special about its configuration. */
  readonly name: string;
  /** Its program's version. */
  readonly version: string;
  /** What an acknowledgement means with so many in flight. */
  durability(inFlight: InFlight): Durability;
  /** How the load is put on with so many in flight, in a few words. */
  load(inFlight: InFlight): string;
  /** How it is read again, and how it is followed. */
  readonly replayLoad: string;
  readonly fanoutLoad: string;
  /** Messages that one commit has by its design; undefined where that depends and can't be asked for. */
  messagesPerCommit(inFlight: InFlight): number | undefined;
  /** Starts its server on what is in the folder. Throws where a setting that the label rests on is not active. */
  start(folder: string): Promise<RunningSystem>;
}

/** Its server, as a process of its own on the loopback. */
export interface RunningSystem extends AsyncDisposable {
  readonly pid: number;
  /** The setting that the label rests on, as the running server tells it. */
  readonly proof: string;
  /** Publishes `warmUpOf(messages)` and then so many; settles when all are acknowledged, with the rate of the latter. */
  publish(inFlight: InFlight, messages: number, payloadBytes: number): Promise<number>;
  /** Stores so many messages in the fastest way there is. */
  fill(messages: number, payloadBytes: number): Promise<void>;
  /** Reads what is stored from the beginning on with one consumer; gives messages a second. */
  replay(messages: number): Promise<number>;
  /** Publishes the same way to live subscribers, each with a connection of its own; gives deliveries a second. */
  fanout(subscribers: number, messages: number, payloadBytes: number): Promise<number>;
  /** Ends it in its orderly way. */
  stop(): Promise<void>;
}
