import {
  KEEP_ALIVE_INTERVAL_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  QUESTION_TIMEOUT_MS,
} from "../../daemon/sync/limits.ts";
import { PeerError } from "../../daemon/sync/peer_link.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** Milliseconds of silence after which an end of a connection takes the other for gone. */
const SILENCE_MS = KEEP_ALIVE_INTERVAL_MS + KEEP_ALIVE_TIMEOUT_MS;

/** A process, as far as connections are concerned. */
export interface Endpoint {
  readonly name: string;
  readonly alive: boolean;
  /** Called when the process has died. */
  onDeath(callback: () => void): void;
}

/** How messages between two nodes fare. */
export interface Weather {
  /** Milliseconds that a message takes at most. */
  delayMs: number;
  /** How likely a message is lost, and a connection reset: a transport repeats what was lost, or gives up. */
  loss: number;
  /** How likely a message of a stream is left out, doubled or overtaken, as no transport may do. */
  mangling: number;
  partitioned: boolean;
}

/** All links, and the messages on them. */
export class Network {
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** Messages that were sent. */
  messages = 0;
  readonly #weather = new Map<string, Weather>();
  readonly #connections = new Set<Connection>();

  constructor(scheduler: Scheduler, random: Random) {
    this.scheduler = scheduler;
    this.random = random;
  }

  /** Between two nodes, in both directions. */
  weather(a: string, b: string): Weather {
    const key = [a, b].sort().join(" ");
    let weather = this.#weather.get(key);
    if (weather === undefined) {
      weather = { delayMs: 10, loss: 0, mangling: 0, partitioned: false };
      this.#weather.set(key, weather);
    }
    return weather;
  }

  /** Cuts two nodes off from each other, or no longer. */
  partition(a: string, b: string, partitioned: boolean): void {
    this.weather(a, b).partitioned = partitioned;
    for (const connection of this.#connections) connection.weatherChanged();
  }

  heal(): void {
    for (const weather of this.#weather.values()) {
      Object.assign(weather, { delayMs: 20, loss: 0, mangling: 0, partitioned: false });
    }
    for (const connection of this.#connections) connection.weatherChanged();
  }

  connect(caller: Endpoint, answerer: Endpoint | undefined, to: string): Connection {
    const connection = new Connection(
      this,
      caller,
      answerer,
      this.weather(caller.name, to),
      () => this.#connections.delete(connection),
    );
    this.#connections.add(connection);
    connection.weatherChanged();
    return connection;
  }
}

/** From whom to whom a message goes. */
export type Direction = "request" | "response";

/** A connection: what is said on a stream arrives in order or not at all, where the weather allows. */
export class Connection {
  readonly answerer: Endpoint | undefined;
  readonly #network: Network;
  readonly #caller: Endpoint;
  readonly #weather: Weather;
  readonly #left: () => void;
  readonly #arrivals = { request: 0, response: 0 };
  readonly #breakers = new Set<(error: PeerError) => void>();
  #held: (() => void)[] = [];
  #cancelSilence: (() => void) | undefined;
  #broken: PeerError | undefined;

  constructor(
    network: Network,
    caller: Endpoint,
    answerer: Endpoint | undefined,
    weather: Weather,
    left: () => void,
  ) {
    this.#network = network;
    this.#caller = caller;
    this.answerer = answerer;
    this.#weather = weather;
    this.#left = left;
    const { scheduler, random } = network;
    const gone = () =>
      scheduler.after(random.chance(0.5) ? 10 : SILENCE_MS, () => this.break("the peer is gone"));
    if (answerer === undefined || !answerer.alive) gone();
    else answerer.onDeath(gone);
    caller.onDeath(gone);
  }

  get broken(): PeerError | undefined {
    return this.#broken;
  }

  /** Whoever waits for something is told when the connection breaks. Returns how to wait no longer. */
  onBreak(callback: (error: PeerError) => void): () => void {
    this.#breakers.add(callback);
    return () => this.#breakers.delete(callback);
  }

  break(reason: string): void {
    if (this.#broken !== undefined) return;
    this.#broken = new PeerError("unreachable", reason);
    this.#cancelSilence?.();
    this.#held = [];
    this.#left();
    for (const callback of [...this.#breakers]) callback(this.#broken);
    this.#breakers.clear();
  }

  /** To be called when the partition began or ended. */
  weatherChanged(): void {
    const { scheduler, random } = this.#network;
    if (this.#weather.partitioned) {
      this.#cancelSilence ??= scheduler.after(
        random.between(KEEP_ALIVE_TIMEOUT_MS, SILENCE_MS),
        () => this.break("the peer is silent"),
      );
      return;
    }
    this.#cancelSilence?.();
    this.#cancelSilence = undefined;
    const held = this.#held;
    this.#held = [];
    for (const send of held) send();
  }

  /** Sends a message of a stream. `lost` is called when it was left out. */
  stream(direction: Direction, deliver: () => void, lost: () => void = () => {}): void {
    const { random } = this.#network;
    if (random.chance(this.#weather.mangling)) {
      if (random.chance(0.3)) return this.#send(direction, lost, false);
      if (random.chance(0.5)) this.#send(direction, deliver, false); // doubled
      return this.#send(direction, deliver, false); // overtaken
    }
    if (random.chance(this.#weather.loss * 0.1)) this.break("the connection was reset");
    this.#send(direction, deliver, true);
  }

  /** Asks a question, whose parts may be lost, doubled and overtaken. */
  ask<T>(answer: () => Promise<T>, toError: (error: unknown) => Error): Promise<T> {
    const { scheduler, random } = this.#network;
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        forget();
        cancel();
        if (this.#caller.alive) settle();
      };
      const forget = this.onBreak((error) => end(() => reject(error)));
      const cancel = scheduler.after(
        QUESTION_TIMEOUT_MS,
        () => end(() => reject(new PeerError("unreachable", "the answer took too long"))),
      );
      const send = (direction: Direction, deliver: () => void) => {
        if (random.chance(this.#weather.loss)) return;
        if (random.chance(this.#weather.loss)) this.#send(direction, deliver, false);
        this.#send(direction, deliver, false);
      };
      send("request", () => {
        answer().then(
          (value) => send("response", () => end(() => resolve(value))),
          (error) => send("response", () => end(() => reject(toError(error)))),
        );
      });
    });
  }

  #send(direction: Direction, deliver: () => void, inOrder: boolean): void {
    const [sender, receiver] = direction === "request"
      ? [this.#caller, this.answerer]
      : [this.answerer, this.#caller];
    if (this.#broken !== undefined || sender?.alive !== true) return;
    if (this.#weather.partitioned) {
      this.#held.push(() => this.#send(direction, deliver, inOrder));
      return;
    }
    const { scheduler, random } = this.#network;
    this.#network.messages++;
    let at = scheduler.now + random.next() * this.#weather.delayMs;
    // What a transport has to send again comes late, and all behind it.
    if (inOrder && random.chance(this.#weather.loss)) at += 300;
    if (inOrder) at = this.#arrivals[direction] = Math.max(at, this.#arrivals[direction]);
    scheduler.after(at - scheduler.now, () => {
      if (this.#broken === undefined && receiver?.alive === true) deliver();
    });
  }
}
