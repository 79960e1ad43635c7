const encoder = new TextEncoder();

const PREFACE_TEXT = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/** The octets that a client sends first (RFC 9113 §3.4). */
export const CLIENT_PREFACE: Uint8Array = encoder.encode(PREFACE_TEXT);

/** How a request of HTTP/1 begins (RFC 9110 §9.3, RFC 5789). */
const HTTP1_BEGINNINGS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
  .map((method) => `${method} `);

/** What came in place of a preface. */
export type PrefaceResult = "incomplete" | "complete" | "http/1" | "garbage";

/** Recognizes the client's preface, however its octets are split. */
export class PrefaceReader {
  #seen = "";

  /** Reads octets; returns how many belong to the preface, and what is known now. */
  read(chunk: Uint8Array): { readonly used: number; readonly result: PrefaceResult } {
    let used = 0;
    let result: PrefaceResult = "incomplete";
    while (used < chunk.length && result === "incomplete") {
      this.#seen += String.fromCharCode(chunk[used] ?? 0);
      used++;
      result = meaning(this.#seen);
    }
    return { used, result };
  }
}

function meaning(seen: string): PrefaceResult {
  if (PREFACE_TEXT.startsWith(seen)) return seen.length === PREFACE_TEXT.length ? "complete" : "incomplete";
  if (HTTP1_BEGINNINGS.includes(seen)) return "http/1";
  return HTTP1_BEGINNINGS.some((beginning) => beginning.startsWith(seen)) ? "incomplete" : "garbage";
}

const HTTP1_TEXT = "This port speaks gRPC over HTTP/2 without upgrade. Use a gRPC client.\n";

/** The answer to a request of HTTP/1: a status that its client understands. */
export const HTTP1_ANSWER: Uint8Array = encoder.encode(
  "HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain; charset=utf-8\r\n" +
    `content-length: ${HTTP1_TEXT.length}\r\nconnection: close\r\n\r\n${HTTP1_TEXT}`,
);
