import type { Bus } from "../../daemon/bus/bus.ts";
import { BusError } from "../../daemon/bus/error.ts";
import type { Timer } from "../../daemon/bus/timer.ts";
import type { NodeName, ReplicatedMessage } from "../../daemon/store/store.ts";
import { answerSync, type SyncOutput } from "../../daemon/sync/answer_sync.ts";
import {
  PeerError,
  type PeerIdentity,
  type PeerLink,
  type RemoteHead,
  type SyncStream,
} from "../../daemon/sync/peer_link.ts";
import type { Connection, Endpoint } from "./network.ts";

/** Responses on their way beyond which the answerer is asked to wait. */
const WINDOW = 4;
/** Reads for one session at once. */
const TURNS = 2;

/** A process that can be asked. */
export interface Answerer extends Endpoint {
  readonly bus: Bus;
  readonly timer: Timer;
  /** To be told of what must not happen. */
  readonly unexpected: (what: string, error: unknown) => void;
}

/** How much the peer lets on, as an older daemon would. */
export interface PeerManners {
  /** Whether it has SyncService. */
  readonly sync: boolean;
  /** Whether it says in which data directory its logs were written. */
  readonly incarnations: boolean;
}

/** The way to a peer over the simulated network. */
export class SimulatedLink implements PeerLink {
  readonly #connection: Connection;
  readonly #answerer: Answerer | undefined;
  readonly #caller: Endpoint;
  readonly #manners: PeerManners;

  constructor(
    connection: Connection,
    caller: Endpoint,
    answerer: Answerer | undefined,
    manners: PeerManners,
  ) {
    this.#connection = connection;
    this.#caller = caller;
    this.#answerer = answerer;
    this.#manners = manners;
  }

  identify(): Promise<PeerIdentity> {
    return this.#ask(({ node, incarnation }) =>
      Promise.resolve({ node, incarnation: this.#said(incarnation) })
    );
  }

  /** No peer of the simulation is discovered, and so none is asked. */
  prove(): Promise<Uint8Array> {
    return Promise.reject(new PeerError("unimplemented", "the simulation shares no secret"));
  }

  heads(): Promise<readonly RemoteHead[]> {
    return this.#ask((bus) =>
      Promise.resolve(
        bus.heads().map(({ topic, origin, headId, incarnation }) => ({
          topic,
          origin: { ...origin },
          headId,
          incarnation: this.#said(incarnation),
        })),
      )
    );
  }

  head(topic: string, origin: NodeName): Promise<number> {
    return this.#ask((bus) => Promise.resolve(bus.head(topic, origin) ?? 0));
  }

  fetch(
    topic: string,
    origin: NodeName,
    fromHeadId: number,
    limit: number,
  ): Promise<ReplicatedMessage[]> {
    return this.#ask(async (bus) => {
      const messages: ReplicatedMessage[] = [];
      for await (const page of bus.fetch({ topic, origin, fromHeadId, limit })) {
        for (const { headId, id, createdAtMs, payload, headers, deleted } of page) {
          messages.push({
            headId,
            id,
            createdAtMs,
            payload: payload.slice(),
            headers: headers.slice(),
            deleted,
          });
        }
      }
      return messages;
    });
  }

  sync(): SyncStream {
    const answerer = this.#manners.sync ? this.#answerer : undefined;
    return new SimulatedStream(this.#connection, this.#caller, answerer);
  }

  close(): Promise<void> {
    this.#connection.break("the link was closed");
    return Promise.resolve();
  }

  #said(incarnation: string): string {
    return this.#manners.incarnations ? incarnation : "";
  }

  #ask<T>(answer: (bus: Bus) => Promise<T>): Promise<T> {
    return this.#connection.ask(async () => {
      const answerer = this.#answerer;
      if (answerer === undefined) throw new PeerError("unreachable", "nobody listens");
      return await answer(answerer.bus);
    }, (error) => toPeerError(error, (what) => this.#answerer?.unexpected(what, error)));
  }
}

type Arrived = (result: readonly Uint8Array[] | null | PeerError) => void;

/** Both ends of a session. */
class SimulatedStream implements SyncStream {
  readonly #connection: Connection;
  readonly #caller: Endpoint;
  readonly #requests = new Inbox();
  readonly #ending = new AbortController();
  #arrived: Uint8Array[] = [];
  #end: null | PeerError | undefined;
  #waiting: Arrived | undefined;

  /** Without an answerer the peer does not know the service. */
  constructor(connection: Connection, caller: Endpoint, answerer: Answerer | undefined) {
    this.#connection = connection;
    this.#caller = caller;
    if (connection.broken !== undefined) this.#end = connection.broken;
    connection.onBreak((error) => {
      this.#over(error);
      this.#hangUp();
    });
    connection.stream("request", () => {
      if (answerer !== undefined) return void this.#answer(answerer);
      this.#tellEnd(new PeerError("unimplemented", "the peer has no SyncService"));
    });
  }

  send(request: Uint8Array): void {
    const bytes = request.slice();
    this.#connection.stream("request", () => this.#requests.put(bytes));
  }

  nextBatch(): Promise<readonly Uint8Array[] | null> {
    return new Promise((resolve, reject) => {
      this.#waiting = (result) => {
        this.#waiting = undefined;
        if (!this.#caller.alive) return;
        if (result instanceof PeerError) reject(result);
        else resolve(result);
      };
      this.#wake();
    });
  }

  cancel(): void {
    this.#over(new PeerError("unreachable", "the session was cancelled"));
    this.#connection.stream("request", () => this.#hangUp());
  }

  async #answer(answerer: Answerer): Promise<void> {
    const output = new Output(this.#ending.signal, (response, delivered) => {
      const bytes = response.slice();
      this.#connection.stream("response", () => {
        delivered();
        this.#arrived.push(bytes);
        this.#wake();
      }, delivered);
    });
    try {
      await answerSync(answerer.bus, this.#requests, output, this.#ending.signal, answerer.timer);
      this.#tellEnd(null);
    } catch (error) {
      if (error instanceof SessionOver) return;
      this.#tellEnd(toPeerError(error, (what) => answerer.unexpected(what, error)));
    }
  }

  #tellEnd(end: null | PeerError): void {
    this.#connection.stream("response", () => this.#over(end));
  }

  #over(end: null | PeerError): void {
    if (this.#end === undefined) this.#end = end;
    this.#wake();
  }

  #hangUp(): void {
    this.#ending.abort(new SessionOver());
    this.#requests.end();
  }

  #wake(): void {
    if (this.#arrived.length > 0) {
      const arrived = this.#arrived;
      if (this.#waiting === undefined) return;
      this.#arrived = [];
      this.#waiting(arrived);
    } else if (this.#end !== undefined) this.#waiting?.(this.#end);
  }
}

/** The caller has gone. */
class SessionOver extends Error {}

/** What the answerer of a session sends into. */
class Output implements SyncOutput {
  readonly #signal: AbortSignal;
  readonly #transmit: (response: Uint8Array, delivered: () => void) => void;
  #underWay = 0;
  #turns = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(signal: AbortSignal, transmit: (response: Uint8Array, delivered: () => void) => void) {
    this.#signal = signal;
    this.#transmit = transmit;
    signal.addEventListener("abort", () => this.#wake(), { once: true });
  }

  send(response: Uint8Array): boolean {
    this.#underWay++;
    this.#transmit(response, () => {
      this.#underWay--;
      this.#wake();
    });
    return this.#underWay < WINDOW;
  }

  async ready(): Promise<void> {
    await this.#until(() => this.#underWay < WINDOW);
  }

  async inTurn<T>(make: () => Promise<T>): Promise<T> {
    await this.#until(() => this.#underWay < WINDOW && this.#turns < TURNS);
    this.#turns++;
    try {
      return await make();
    } finally {
      this.#turns--;
      this.#wake();
    }
  }

  async #until(condition: () => boolean): Promise<void> {
    for (;;) {
      this.#signal.throwIfAborted();
      if (condition()) return;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Requests as they arrive. */
class Inbox implements AsyncIterable<Uint8Array> {
  readonly #arrived: Uint8Array[] = [];
  #ended = false;
  #wake: () => void = () => {};

  put(request: Uint8Array): void {
    this.#arrived.push(request);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (;;) {
      const request = this.#arrived.shift();
      if (request !== undefined) yield request;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** What the caller hears of a failure at the answerer. */
function toPeerError(error: unknown, unexpected: (what: string) => void): PeerError {
  if (error instanceof PeerError) return error;
  if (!(error instanceof BusError)) unexpected("an answer failed with what is no BusError");
  const code = error instanceof BusError && error.code === "unavailable" ? "unreachable" : "refused";
  return new PeerError(code, error instanceof Error ? error.message : String(error));
}
