import { FrameDecoder, readUint32 } from "../../grpc/http2/frame/frame_decoder.ts";
import { FrameType } from "../../grpc/http2/frame/frame_type.ts";
import { concat, FrameFactory } from "../../grpc/http2/testing/frame_factory.ts";

/** How an attacker begins. */
export interface AttackerOptions {
  /** Its SETTINGS. */
  readonly settings?: readonly (readonly [number, number])[];
  /** Whether it reads what the daemon says; default true. */
  readonly reads?: boolean;
}

/** A raw connection that says whatever it wants, and notes how the daemon takes it. */
export class Attacker {
  /** Makes what is said. */
  readonly frames = new FrameFactory();
  /** The code of the daemon's GOAWAY. */
  goaway: number | undefined;
  /** How many RST_STREAM of each code came. */
  readonly resets = new Map<number, number>();
  /** The connection is over. */
  closed = false;
  readonly #conn: Deno.TcpConn;
  #reading: Promise<void> | undefined;

  private constructor(conn: Deno.TcpConn, reads: boolean) {
    this.#conn = conn;
    if (reads) this.#reading = this.#readAll();
  }

  /** Connects, and says hello as an HTTP/2 client does. */
  static async hello(
    address: string,
    { settings = [], reads = true }: AttackerOptions = {},
  ): Promise<Attacker> {
    const attacker = await Attacker.silent(address, reads);
    await attacker.say(concat(attacker.frames.hello(settings), attacker.frames.settingsAck()));
    return attacker;
  }

  /** Connects, and says nothing. */
  static async silent(address: string, reads = true): Promise<Attacker> {
    const [hostname = "", port] = address.split(":");
    return new Attacker(await Deno.connect({ hostname, port: Number(port) }), reads);
  }

  /** Writes all bytes, for as long as the connection takes them. */
  async say(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length && !this.closed;) at += await this.#conn.write(bytes.subarray(at));
    } catch {
      this.closed = true;
    }
  }

  /** Reads what is left to read; false where the daemon has not closed within `ms`. */
  async over(ms: number): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const deadline = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([this.#reading ??= this.#readAll(), deadline]);
    clearTimeout(timer);
    return this.closed;
  }

  /** Hangs up. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // The runtime closed it after an error.
    }
  }

  async #readAll(): Promise<void> {
    const decoder = new FrameDecoder(16_777_215);
    const room = new Uint8Array(65_536);
    try {
      for (let count = await this.#conn.read(room); count !== null; count = await this.#conn.read(room)) {
        decoder.push(room.slice(0, count));
        for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
          if (frame.type === FrameType.GOAWAY) this.goaway = readUint32(frame.payload, 4);
          if (frame.type === FrameType.RST_STREAM) {
            const code = readUint32(frame.payload, 0);
            this.resets.set(code, (this.resets.get(code) ?? 0) + 1);
          }
        }
      }
    } catch {
      // Reset by the daemon: what came before has been read.
    }
    this.closed = true;
  }
}
