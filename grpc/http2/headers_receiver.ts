import { ErrorCode } from "./error_code.ts";
import type { EventQueue } from "./event_queue.ts";
import type { Frame } from "./frame/frame_type.ts";
import { type HeaderBlock, HeaderBlockReader } from "./header_block.ts";
import { contentLength, fieldValue, type HeaderListKind, malformedHeaders } from "./header_rules.ts";
import type { HeaderField } from "./hpack/header_field.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import type { PeerBudget } from "./peer_budget.ts";
import type { Http2Role } from "./role.ts";
import type { Stream } from "./stream.ts";
import type { Streams } from "./streams.ts";

/** Lists that were found well-formed are remembered as long as the decoder remembers them. */
const REMEMBERED_LISTS = 4;

/** A list that was checked. */
interface CheckedList {
  readonly fields: readonly HeaderField[];
  readonly kind: HeaderListKind;
  readonly contentLength: number | undefined | "malformed";
}

/** Takes HEADERS and CONTINUATION (RFC 9113 §6.2, §6.10): requests, responses and trailers (§8.1). */
export class HeadersReceiver {
  readonly #role: Http2Role;
  readonly #blocks: HeaderBlockReader;
  readonly #streams: Streams;
  readonly #budget: PeerBudget;
  readonly #events: EventQueue;
  readonly #checked: CheckedList[] = [];
  #oldest = 0;

  /** Takes requests as a server, responses as a client. */
  constructor(
    role: Http2Role,
    limits: Http2Limits,
    streams: Streams,
    budget: PeerBudget,
    events: EventQueue,
  ) {
    this.#role = role;
    this.#blocks = new HeaderBlockReader(limits);
    this.#streams = streams;
    this.#budget = budget;
    this.#events = events;
  }

  /** Whether a header block waits for its CONTINUATION: no other frame may come now. */
  get blockOpen(): boolean {
    return this.#blocks.open;
  }

  /** The peer has applied our SETTINGS: its header table is as small as these say. */
  settingsAcknowledged(): void {
    this.#blocks.settingsAcknowledged();
  }

  /** Takes a HEADERS or CONTINUATION frame. Throws {@linkcode Http2Error}. */
  receive(frame: Frame, nowMs: number): void {
    const block = this.#blocks.read(frame);
    if (block === undefined) return;
    // The block is decoded by now, whatever becomes of it: the table is in step.
    const { streamId } = block;
    if (this.#streams.beyondGoaway(streamId)) return;
    const isNew = this.#streams.isNewPeerId(streamId);
    const stream = isNew ? this.#accept(streamId, nowMs) : this.#streams.existing(streamId);
    if (stream !== undefined) this.#list(stream, block, nowMs);
    // It crossed our RST_STREAM; more of them carry nothing to anybody.
    else if (!isNew) this.#budget.idleFrame(nowMs);
  }

  /** Makes the stream of a request; undefined when it is refused. */
  #accept(streamId: number, nowMs: number): Stream | undefined {
    if (!this.#streams.full) return this.#streams.openPeer(streamId);
    this.#streams.refusePeer(streamId);
    this.#budget.reset(nowMs);
    return undefined;
  }

  #list(stream: Stream, block: HeaderBlock, nowMs: number): void {
    const { fields, endStream, tooLarge, selfDependent } = block;
    const { id } = stream;
    if (selfDependent) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself (RFC 7540 §5.3.1)", id);
    }
    if (stream.remote === "ended") {
      throw new Http2Error(ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM (§5.1)", id);
    }
    if (tooLarge) {
      throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "the header list is over the announced limit", id);
    }
    if (stream.headersReceived) this.#trailers(stream, fields, endStream);
    else if (this.#role === "client") this.#response(stream, block, nowMs);
    else {
      this.#firstHeaders(stream, block, this.#check(stream, fields, "request"));
    }
  }

  #response(stream: Stream, block: HeaderBlock, nowMs: number): void {
    const { fields, endStream } = block;
    const length = this.#check(stream, fields, "response");
    const status = fieldValue(fields, ":status");
    if (status?.startsWith("1") === true) {
      if (endStream) throw malformed(stream, "an informational response ends the stream (§8.1)");
      if (status === "101") throw malformed(stream, "there is no switch of protocols (§8.6)");
      return this.#budget.idleFrame(nowMs);
    }
    const bodiless = status === "304" || stream.answersHead;
    this.#firstHeaders(stream, block, bodiless ? undefined : length);
  }

  #firstHeaders(
    stream: Stream,
    { fields, endStream, listBytes }: HeaderBlock,
    length: number | undefined | "malformed",
  ): void {
    if (length === "malformed" || (endStream && length !== undefined && length > 0)) {
      throw malformed(stream, "content-length is malformed or not what came (§8.1.1)");
    }
    if (!this.#streams.keepHeaderList(stream, listBytes)) {
      // A server has not looked at the request yet: it may be sent again (§8.7).
      const code = this.#role === "server" ? ErrorCode.REFUSED_STREAM : ErrorCode.ENHANCE_YOUR_CALM;
      throw new Http2Error(code, "the header lists of the open streams are over the limit", stream.id);
    }
    stream.contentBytesLeft = length;
    stream.headersReceived = true;
    this.#events.push({ type: "headers", streamId: stream.id, fields, endStream });
    if (endStream) this.#streams.remoteEnded(stream);
  }

  #trailers(stream: Stream, fields: readonly HeaderField[], endStream: boolean): void {
    if (!endStream) throw malformed(stream, "trailers without END_STREAM (§8.1)");
    this.#check(stream, fields, "trailers");
    if (!stream.countContent(0, true)) throw malformed(stream, "content-length is not what came (§8.1.1)");
    this.#events.push({ type: "trailers", streamId: stream.id, fields });
    this.#streams.remoteEnded(stream);
  }

  /** Throws where the list is malformed; returns its content-length. The decoder gives a list it remembers as the same object. */
  #check(
    stream: Stream,
    fields: readonly HeaderField[],
    kind: HeaderListKind,
  ): number | undefined | "malformed" {
    for (const known of this.#checked) {
      if (known.fields === fields && known.kind === kind) return known.contentLength;
    }
    const fault = malformedHeaders(fields, kind);
    if (fault !== undefined) throw malformed(stream, fault);
    const checked = { fields, kind, contentLength: contentLength(fields) };
    this.#checked[this.#oldest] = checked;
    this.#oldest = (this.#oldest + 1) % REMEMBERED_LISTS;
    return checked.contentLength;
  }
}

/** The error of a malformed message (RFC 9113 §8.1.1). */
function malformed(stream: Stream, why: string): Http2Error {
  return new Http2Error(ErrorCode.PROTOCOL_ERROR, why, stream.id);
}
