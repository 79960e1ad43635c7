import type { Http2Event } from "./event.ts";

/** The events of a connection that nobody has taken yet, in order. */
export class EventQueue {
  #events: Http2Event[] = [];

  /** Adds what happened last. */
  push(event: Http2Event): void {
    this.#events.push(event);
  }

  /** Hands out what has happened since the last call. */
  take(): readonly Http2Event[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
  }
}
