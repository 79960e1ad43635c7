import { ErrorCode } from "./http2/error_code.ts";
import { FrameEncoder } from "./http2/frame/frame_encoder.ts";
import { OutputBuffer } from "./http2/output_buffer.ts";

/** No stream was looked at; but a client that is told so tries again at once, and gets no further. */
const EVERY_STREAM = 0x7fff_ffff;

/**
 * What HTTP/2 has to say to a client that gets no connection: SETTINGS, and GOAWAY with INADEQUATE_SECURITY (RFC 9113,
 * 7) and the reason, which clients show in their errors.
 */
export function refusalFarewell(reason: string): Uint8Array {
  const output = new OutputBuffer();
  const frames = new FrameEncoder(output);
  frames.settings([]);
  frames.goaway(EVERY_STREAM, ErrorCode.INADEQUATE_SECURITY, new TextEncoder().encode(reason));
  return output.take();
}
