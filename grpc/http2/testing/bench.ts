import { Http2Connection } from "../connection.ts";
import type { Http2Event } from "../event.ts";
import type { HeaderField } from "../hpack/header_field.ts";
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "../limits.ts";
import type { Http2Role } from "../role.ts";
import { concat, FrameFactory, REQUEST } from "./frame_factory.ts";
import { FrameLog } from "./frame_log.ts";

/** A connection under test and the frames of its peer, with what each side says as lines. */
export class Bench {
  readonly role: Http2Role;
  /** Makes what the peer says. */
  readonly peer = new FrameFactory();
  /** What is under test. */
  readonly connection: Http2Connection;
  /** The time of what is received next. */
  nowMs = 0;
  readonly #log = new FrameLog();
  #nextPeerId = 1;

  private constructor(role: Http2Role, limits: Partial<Http2Limits>) {
    this.role = role;
    this.connection = new Http2Connection(role, { ...DEFAULT_HTTP2_LIMITS, ...limits });
  }

  /** A server whose client has said hello, with these SETTINGS. */
  static server(
    limits: Partial<Http2Limits> = {},
    settings: readonly (readonly [number, number])[] = [],
  ): Bench {
    const bench = new Bench("server", limits);
    bench.events(bench.peer.hello(settings));
    bench.output();
    return bench;
  }

  /** A client whose server has said hello, with these SETTINGS. */
  static client(
    limits: Partial<Http2Limits> = {},
    settings: readonly (readonly [number, number])[] = [],
  ): Bench {
    const bench = new Bench("client", limits);
    bench.events(bench.peer.settings(settings));
    bench.output();
    return bench;
  }

  /** A connection that has heard nothing yet. */
  static silent(role: Http2Role, limits: Partial<Http2Limits> = {}): Bench {
    return new Bench(role, limits);
  }

  /** Receives the pieces as one, and tells what they brought about. */
  events(...pieces: readonly Uint8Array[]): string[] {
    return this.connection.receive(concat(...pieces), this.nowMs).map(eventLine);
  }

  /** Takes the output, as frames. */
  output(): string[] {
    const taken = this.connection.takeOutput();
    const lines = this.#log.read(taken);
    this.connection.outputWritten(taken);
    return lines;
  }

  /** Opens a stream with {@linkcode REQUEST}: the peer's at a server, ours at a client. Returns its number. */
  open(endStream = false): number {
    if (this.role === "client") {
      const id = this.connection.request(fieldList(REQUEST), endStream);
      this.output();
      return id;
    }
    const id = this.#nextPeerId;
    this.#nextPeerId += 2;
    this.events(this.peer.headers(id, REQUEST, { endStream }));
    return id;
  }
}

/** An event as one line, for comparisons. */
export function eventLine(event: Http2Event): string {
  switch (event.type) {
    case "headers":
      return `headers ${event.streamId}${event.endStream ? " end" : ""}`;
    case "data":
      return `data ${event.streamId} ${event.bytes.length}${event.endStream ? " end" : ""}`;
    case "trailers":
    case "drained":
    case "stalled":
      return `${event.type} ${event.streamId}`;
    case "reset":
      return `reset ${event.streamId} ${event.code} by ${event.by}`;
    case "goaway":
      return `goaway ${event.lastStreamId} ${event.code}`;
    case "failed":
      return `failed ${event.error.code}`;
    case "capacity":
    case "idle":
    case "pong":
      return event.type;
  }
}

/** The fields of a record, in its order. */
export function fieldList(fields: Readonly<Record<string, string>>): HeaderField[] {
  return Object.entries(fields).map(([name, value]) => ({ name, value }));
}
