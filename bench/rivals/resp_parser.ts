/** An answer of Redis (RESP2); bulk strings are views on what was received. */
export type Reply = string | number | null | Uint8Array | Error | readonly Reply[];

const decoder = new TextDecoder();
const [CR, COLON, DOLLAR, STAR, PLUS, MINUS] = [13, 58, 36, 42, 43, 45];

/** Makes replies of bytes, however they are cut. */
export class RespParser {
  #buffer: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** Takes bytes, which must not change afterwards; gives the replies that are whole now. Throws where it is no RESP2. */
  push(bytes: Uint8Array): Reply[] {
    this.#append(bytes);
    const replies: Reply[] = [];
    for (;;) {
      const begin = this.#at;
      const reply = this.#parse();
      if (reply === undefined) {
        this.#at = begin;
        return replies;
      }
      replies.push(reply);
    }
  }

  #append(piece: Uint8Array): void {
    const rest = this.#buffer.length - this.#at;
    if (rest === 0) {
      this.#buffer = piece;
    } else {
      const joined = new Uint8Array(rest + piece.length);
      joined.set(this.#buffer.subarray(this.#at));
      joined.set(piece, rest);
      this.#buffer = joined;
    }
    this.#at = 0;
  }

  /** The next reply; undefined where it has not come as a whole. */
  #parse(): Reply | undefined {
    const end = this.#buffer.indexOf(CR, this.#at);
    if (end === -1 || end + 2 > this.#buffer.length) return undefined;
    const kind = this.#buffer[this.#at];
    const line = this.#buffer.subarray(this.#at + 1, end);
    this.#at = end + 2;
    switch (kind) {
      case PLUS:
        return decoder.decode(line);
      case MINUS:
        return new Error(decoder.decode(line));
      case COLON:
        return numberOf(line);
      case DOLLAR:
        return this.#parseBulk(numberOf(line));
      case STAR:
        return this.#parseArray(numberOf(line));
      default:
        throw new Error(`Redis sent a reply of kind ${kind}`);
    }
  }

  #parseBulk(length: number): Uint8Array | null | undefined {
    if (length < 0) return null;
    if (this.#at + length + 2 > this.#buffer.length) return undefined;
    const bytes = this.#buffer.subarray(this.#at, this.#at + length);
    this.#at += length + 2;
    return bytes;
  }

  #parseArray(length: number): readonly Reply[] | null | undefined {
    if (length < 0) return null;
    const replies: Reply[] = [];
    while (replies.length < length) {
      const reply = this.#parse();
      if (reply === undefined) return undefined;
      replies.push(reply);
    }
    return replies;
  }
}

function numberOf(line: Uint8Array): number {
  let value = 0;
  for (const byte of line) if (byte !== MINUS) value = value * 10 + byte - 48;
  return line[0] === MINUS ? -value : value;
}
