/** Messages that go before those that are measured, so that every runtime's compiler is warm: a tenth. */
export function warmUpOf(messages: number): number {
  return Math.ceil(messages / 10);
}

/** Publishes so many messages with always so many in flight; settles when all are acknowledged, with the rate a second. */
export async function publishInLanes(
  messages: number,
  inFlight: number,
  publish: () => Promise<unknown>,
): Promise<number> {
  let sent = 0;
  const begin = performance.now();
  const lane = async () => {
    while (sent < messages) {
      sent++;
      await publish();
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, messages) }, lane));
  return messages / ((performance.now() - begin) / 1_000);
}

/** Messages of a fan-out on their way before the publisher waits: the same for every system. */
const WINDOW = 256;

/** Deliveries a second of a fan-out. Whoever takes deliveries tells `delivered` of them. */
export class FanOut {
  readonly #subscribers: number;
  #deliveries = 0;
  #wake: () => void = () => {};

  /** To so many subscribers. */
  constructor(subscribers: number) {
    this.#subscribers = subscribers;
  }

  /** So many came, to any of the subscribers. */
  readonly delivered = (count: number): void => {
    this.#deliveries += count;
    this.#wake();
  };

  /** Waits for so many deliveries in all. */
  async until(deliveries: number): Promise<void> {
    while (this.#deliveries < deliveries) await new Promise<void>((resolve) => this.#wake = resolve);
  }

  /** Publishes so many and waits until everybody has them; gives the deliveries a second. */
  async rate(messages: number, publish: () => Promise<unknown>): Promise<number> {
    const before = this.#deliveries;
    const begin = performance.now();
    const acknowledged: Promise<unknown>[] = [];
    for (let sent = 0; sent < messages; sent++) {
      await this.until(before + (sent - WINDOW) * this.#subscribers);
      acknowledged.push(publish());
    }
    await Promise.all(acknowledged);
    await this.until(before + messages * this.#subscribers);
    return messages * this.#subscribers / ((performance.now() - begin) / 1_000);
  }
}
