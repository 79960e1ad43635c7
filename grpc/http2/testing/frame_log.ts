import { FrameDecoder } from "../frame/frame_decoder.ts";
import { Flag, FrameType } from "../frame/frame_type.ts";
import { HpackDecoder } from "../hpack/decoder.ts";
import { CLIENT_PREFACE } from "../preface.ts";

const NAMES = Object.fromEntries(Object.entries(FrameType).map(([name, type]) => [type, name]));

/** Reads what a connection wrote, as lines that a test can compare. */
export class FrameLog {
  readonly #frames = new FrameDecoder(16_777_215);
  readonly #hpack = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 1_000_000, maxFields: 1_000 });

  /** One line a frame: "HEADERS 1 END_STREAM :status=200", "DATA 1 5", "RST_STREAM 1 8", "GOAWAY 0 11" … */
  read(output: Uint8Array): string[] {
    const preface = CLIENT_PREFACE.every((octet, index) => output[index] === octet);
    this.#frames.push(preface ? output.subarray(CLIENT_PREFACE.length) : output);
    const lines: string[] = [];
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      const { type, flags, streamId, payload } = frame;
      const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
      const words = [NAMES[type] ?? `type ${type}`, String(streamId)];
      if (type === FrameType.SETTINGS || type === FrameType.PING) {
        if ((flags & Flag.ACK) !== 0) words.push("ACK");
      } else if ((type === FrameType.DATA || type === FrameType.HEADERS) && (flags & Flag.END_STREAM) !== 0) {
        words.push("END_STREAM");
      }
      if (type === FrameType.DATA) words.push(String(payload.length));
      if (type === FrameType.HEADERS) {
        words.push(...this.#hpack.decode(payload).fields.map(({ name, value }) => `${name}=${value}`));
      }
      if (type === FrameType.RST_STREAM || type === FrameType.WINDOW_UPDATE) {
        words.push(String(view.getUint32(0)));
      }
      if (type === FrameType.GOAWAY) words.push(String(view.getUint32(4)));
      lines.push(words.join(" "));
    }
    return lines;
  }
}
