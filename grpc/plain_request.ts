import { fieldValue } from "./http2/header_rules.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import type { Session } from "./session.ts";

const CONTENT_TYPE = "application/grpc";

/** Why a request is no gRPC. */
export interface PlainRefusal {
  /** 405 where its method is not POST, 415 where its content type is another (gRPC over HTTP/2, Requests). */
  readonly status: 405 | 415;
  /** What it has instead. */
  readonly found: string;
  /** Whether the answer must have no body (RFC 9110 §9.3.2). */
  readonly headOnly: boolean;
}

/** Why a request is no gRPC; undefined where it is one. */
export function plainRefusal(fields: readonly HeaderField[]): PlainRefusal | undefined {
  const method = fieldValue(fields, ":method") ?? "";
  if (method !== "POST") return { status: 405, found: method, headOnly: method === "HEAD" };
  const contentType = fieldValue(fields, "content-type") ?? "";
  if (/^application\/grpc($|[+;])/.test(contentType)) return undefined;
  return { status: 415, found: contentType === "" ? "no content type" : contentType, headOnly: false };
}

/**
 * A request of a client that does not speak gRPC, such as a browser: what it sends is dropped, and at its end it is told
 * what this server takes.
 */
export class PlainRequest {
  readonly #id: number;
  readonly #refusal: PlainRefusal;
  readonly #session: Session;
  readonly #onOver: (id: number) => void;
  #bytesLeft: number;
  #over = false;

  /** Answers early when more than `maxBytes` come; `onOver` is told once when it is over. */
  constructor(
    id: number,
    refusal: PlainRefusal,
    session: Session,
    maxBytes: number,
    onOver: (id: number) => void,
  ) {
    this.#id = id;
    this.#refusal = refusal;
    this.#session = session;
    this.#bytesLeft = maxBytes;
    this.#onOver = onOver;
  }

  /** A piece of the request's body came. */
  receive(bytes: Uint8Array, endStream: boolean): void {
    this.#session.connection.consume(this.#id, bytes.length);
    this.#bytesLeft -= bytes.length;
    if (endStream || this.#bytesLeft < 0) this.#answer();
  }

  /** The client sends nothing more. */
  receiveEnd(): void {
    this.#answer();
  }

  /** The stream is gone. */
  gone(): void {
    this.#finish();
  }

  /** Nothing waits for that. */
  drained(): void {}

  /** It is to be answered now. */
  fail(): void {
    this.#answer();
  }

  #answer(): void {
    if (this.#over) return;
    const { status, headOnly } = this.#refusal;
    const fields = [
      { name: ":status", value: String(status) },
      status === 405 ? { name: "allow", value: "POST" } : { name: "accept", value: CONTENT_TYPE },
    ];
    const { connection } = this.#session;
    if (headOnly) connection.respond(this.#id, fields, true);
    else {
      connection.respond(this.#id, [...fields, { name: "content-type", value: "text/plain; charset=utf-8" }]);
      connection.data(this.#id, new TextEncoder().encode(refusalText(this.#refusal)));
      connection.end(this.#id);
    }
    this.#session.flushSoon();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#onOver(this.#id);
  }
}

function refusalText({ status, found }: PlainRefusal): string {
  const what = status === 405 ? `the method is ${found}` : `the content type is ${found}`;
  return `Cannot answer: ${what}; this server speaks gRPC: send POST with content-type ${CONTENT_TYPE}\n`;
}
