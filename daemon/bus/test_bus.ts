import type { NodeName, Store } from "../store/store.ts";
import { Bus } from "./bus.ts";
import { BusError, type BusErrorCode } from "./error.ts";
import type { BusLimits } from "./limits.ts";
import type { Message } from "./message.ts";
import type { Timer } from "./timer.ts";

export const LOCAL: NodeName = { tenantId: "tenant", blName: "line", deviceId: "local" };
export const OTHER: NodeName = { tenantId: "tenant", blName: "line", deviceId: "other" };
export const NO_BYTES = new Uint8Array();

/** Numbers from 0 to below `end` that follow from the seed (xorshift32). */
export function seededRandom(seed: number): (end: number) => number {
  let state = seed | 1;
  return (end) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % end;
  };
}

/** Timers that end when the test says so. */
export class HeldTimers {
  readonly #timers = new Map<() => void, number>();

  readonly timer: Timer = (ms, callback) => {
    const end = () => callback();
    this.#timers.set(end, ms);
    return () => this.#timers.delete(end);
  };

  /** The milliseconds of those that were set and neither ended nor were cancelled. */
  get waiting(): number[] {
    return [...this.#timers.values()];
  }

  /** Ends all of them. */
  fire(): void {
    const ended = [...this.#timers.keys()];
    this.#timers.clear();
    for (const end of ended) end();
  }
}

/** A bus of the node LOCAL with a clock that stands still and bytes from a seed; the runtime's timers where none are given. */
export function openTestBus(store: Store, limits: Partial<BusLimits> = {}, timer?: Timer): Promise<Bus> {
  const random = seededRandom(7);
  return Bus.open({
    store,
    node: LOCAL,
    clock: () => 1_700_000_000_000.5,
    random: (into) => into.forEach((_, at) => into[at] = random(256)),
    limits,
    ...timer && { timer },
  });
}

export function publishText(bus: Bus, topic: string, text: string): Promise<Message> {
  return bus.publish({ topic, payload: new TextEncoder().encode(text), headers: NO_BYTES });
}

export function textOf(message: Message): string {
  return new TextDecoder().decode(message.payload);
}

/** For assert.rejects and assert.throws. */
export function isBusError(code: BusErrorCode, field?: string): (error: unknown) => boolean {
  return (error) => error instanceof BusError && error.code === code && error.field === field;
}
