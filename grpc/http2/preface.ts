const encoder = new TextEncoder();

/** The octets that a client sends first (RFC 9113 §3.4). */
export const CLIENT_PREFACE: Uint8Array = encoder.encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What came in place of a preface. */
export type PrefaceResult = "incomplete" | "complete" | "http/1" | "garbage";

/** Recognizes the client's preface, however its octets are split. */
export class PrefaceReader {
  #seen = 0;
  #first = "";

  /** Reads octets; returns how many belong to the preface, and what is known now. */
  read(chunk: Uint8Array): { readonly used: number; readonly result: PrefaceResult } {
    let used = 0;
    while (used < chunk.length && this.#seen < CLIENT_PREFACE.length) {
      const octet = chunk[used];
      if (octet !== CLIENT_PREFACE[this.#seen]) {
        const beginning = this.#first + String.fromCharCode(...chunk.subarray(used, used + 16));
        return { used, result: /^[A-Z]{1,10}( |$)/.test(beginning) ? "http/1" : "garbage" };
      }
      this.#first += String.fromCharCode(octet ?? 0);
      this.#seen++;
      used++;
    }
    return { used, result: this.#seen === CLIENT_PREFACE.length ? "complete" : "incomplete" };
  }
}

const HTTP1_TEXT = "This port speaks gRPC over HTTP/2 without upgrade. Use a gRPC client.\n";

/** The answer to a request of HTTP/1: a status that its client understands. */
export const HTTP1_ANSWER: Uint8Array = encoder.encode(
  "HTTP/1.1 505 HTTP Version Not Supported\r\ncontent-type: text/plain; charset=utf-8\r\n" +
    `content-length: ${HTTP1_TEXT.length}\r\nconnection: close\r\n\r\n${HTTP1_TEXT}`,
);
