import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  type CallOptions,
  Channel,
  type Connect,
  Metadata,
  type ResponseStream,
  SLOWEST_BYTES_PER_MS,
  Status,
  StatusError,
} from "@msgbus/grpc";
import { FetchRequestSchema, FetchResponseSchema, type MessageEnvelope, MsgbusService } from "@msgbus/proto";
import { SyncService } from "@msgbus/proto/sync";
import { encodeHeaders } from "../bus/headers.ts";
import { systemTimer } from "../bus/timer.ts";
import {
  FIRST_LATER_FIELD,
  isKeptWireType,
  joined,
  type NodeName,
  type ReplicatedMessage,
} from "../store/store.ts";
import { nodeOf, toNumber } from "./answer_sync.ts";
import { checkFieldCount } from "./field_count.ts";
import { readHeads } from "./head_list.ts";
import {
  CLOSE_TIMEOUT_MS,
  KEEP_ALIVE_INTERVAL_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  MAX_LOGS_OF_PEER,
  MAX_PENDING_BYTES,
  MAX_UNSENT_BYTES,
  QUESTION_TIMEOUT_MS,
} from "./limits.ts";
import {
  PeerError,
  type PeerIdentity,
  type PeerLink,
  type RemoteHead,
  type SyncStream,
} from "./peer_link.ts";

/** How a peer is reached. */
export interface PeerEndpoint {
  readonly connect: Connect;
  /** What the peer is called in requests. */
  readonly authority: string;
  readonly scheme: "http" | "https";
  /** Sent with every call where present. */
  readonly token: string | undefined;
}

/** A message that is too large fails its own log only, and must be received for that. */
const MAX_RECEIVE_BYTES = 64 << 20;

/** For answers of any size: over a slow link they take their time. */
const LONG_ANSWER: CallOptions = {
  pace: { graceMs: QUESTION_TIMEOUT_MS, bytesPerMs: SLOWEST_BYTES_PER_MS },
};

/** What may come of all heads: those of 60,000 logs with names of 1,000 bytes fit. */
const HEADS_ANSWER: CallOptions = { ...LONG_ANSWER, maxReceiveMessageBytes: 64 << 20 };

/** An answer of another version may have some that we do not know. */
const MAX_ANSWER_FIELDS = 1_000;

/** The way to a peer by gRPC. */
export class GrpcPeerLink implements PeerLink {
  readonly #channel: Channel;
  /** Whether the peer has said who it is. */
  #identified = false;

  constructor({ connect, authority, scheme, token }: PeerEndpoint) {
    // Another connection might lead to another node than the one that said who it is: whoever wants one dials anew.
    const connectOnce: Connect = (signal) =>
      this.#identified ? Promise.reject(new Error("the connection to the peer was lost")) : connect(signal);
    this.#channel = new Channel(connectOnce, {
      authority,
      scheme,
      userAgent: "msgbusd",
      limits: {
        maxReceiveMessageBytes: MAX_RECEIVE_BYTES,
        keepAliveIntervalMs: KEEP_ALIVE_INTERVAL_MS,
        keepAliveTimeoutMs: KEEP_ALIVE_TIMEOUT_MS,
        closeTimeoutMs: CLOSE_TIMEOUT_MS,
      },
      ...token !== undefined && { metadata: new Metadata({ authorization: `Bearer ${token}` }) },
    });
  }

  async identify(): Promise<PeerIdentity> {
    const { node, incarnation } = await this.#ask(MsgbusService.method.health, {});
    this.#identified = true;
    return { node: nodeOf(node), incarnation };
  }

  async prove(nonce: Uint8Array, address: string): Promise<Uint8Array> {
    return (await this.#ask(SyncService.method.prove, { nonce, address })).proof;
  }

  async heads(): Promise<readonly RemoteHead[]> {
    const { listHeads } = MsgbusService.method;
    return await this.#translated(async () => {
      const answer = await this.#answer(listHeads, {}, MAX_LOGS_OF_PEER, HEADS_ANSWER);
      return await readHeads(answer, () => new Promise((resolve) => systemTimer(0, resolve)));
    });
  }

  async head(topic: string, origin: NodeName): Promise<number> {
    const { headId } = await this.#ask(MsgbusService.method.getHead, { topic, origin });
    return toNumber(headId);
  }

  async fetch(
    topic: string,
    origin: NodeName,
    fromHeadId: number,
    limit: number,
  ): Promise<ReplicatedMessage[]> {
    const request = create(FetchRequestSchema, { topic, origin, fromHeadId: BigInt(fromHeadId), limit });
    const messages: ReplicatedMessage[] = [];
    let received = 0;
    const receive = async () => {
      const responses = this.#channel.serverStreaming(
        pathOf(MsgbusService.method.fetch),
        toBinary(FetchRequestSchema, request),
        LONG_ANSWER,
      );
      for await (const bytes of responses) {
        const { message } = fromBinary(FetchResponseSchema, bytes);
        if (message === undefined) throw new PeerError("refused", "the peer answers without a message");
        messages.push({
          headId: toNumber(message.headId),
          id: message.id,
          createdAtMs: toNumber(message.createdAtMs),
          payload: message.payload,
          headers: joined([encodeHeaders(message.headers), ...laterFieldsOf(message)]),
          deleted: message.deleted,
        });
        received += bytes.length;
        if (messages.length >= limit || received > MAX_PENDING_BYTES) return; // leaving cancels the call
      }
    };
    try {
      await receive();
    } catch (error) {
      // What came before counts: whoever asks for the rest hears of the failure.
      if (messages.length === 0) throw toPeerError(error);
    }
    return messages;
  }

  sync(): SyncStream {
    return new GrpcSyncStream(this.#channel, pathOf(SyncService.method.sync));
  }

  async close(): Promise<void> {
    await this.#channel.close();
  }

  async #ask<Request extends DescMessage, Response extends DescMessage>(
    method: DescMethod & { readonly input: Request; readonly output: Response },
    request: MessageInitShape<Request>,
  ): Promise<MessageShape<Response>> {
    return await this.#translated(async () => {
      const options = { timeoutMs: QUESTION_TIMEOUT_MS };
      return fromBinary(method.output, await this.#answer(method, request, MAX_ANSWER_FIELDS, options));
    });
  }

  async #answer<Request extends DescMessage>(
    method: DescMethod & { readonly input: Request },
    request: MessageInitShape<Request>,
    mostFields: number,
    options: CallOptions,
  ): Promise<Uint8Array> {
    const bytes = toBinary(method.input, create(method.input, request));
    const answer = await this.#channel.unary(pathOf(method), bytes, options);
    checkFieldCount(answer, mostFields);
    return answer;
  }

  async #translated<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toPeerError(error);
    }
  }
}

/** A session: requests leave as they are said, one after the other. */
class GrpcSyncStream implements SyncStream {
  readonly #responses: ResponseStream;
  readonly #requests: Uint8Array[] = [];
  /** Bytes of those that wait behind another one. */
  #unsentBytes = 0;
  #wake: () => void = () => {};
  #over = false;
  #failure: PeerError | undefined;

  constructor(channel: Channel, path: string) {
    this.#responses = channel.bidiStreaming(path, this.#outgoing());
  }

  send(request: Uint8Array): void {
    if (this.#over) return;
    if (this.#requests.length > 0) this.#unsentBytes += request.length;
    this.#requests.push(request);
    if (this.#unsentBytes > MAX_UNSENT_BYTES) {
      this.#failure = new PeerError("refused", "the peer does not read what it is asked");
      this.cancel();
    }
    this.#wake();
  }

  async nextBatch(): Promise<readonly Uint8Array[] | null> {
    try {
      return await this.#responses.nextBatch();
    } catch (error) {
      throw this.#failure ?? toPeerError(error);
    }
  }

  cancel(): void {
    this.#over = true;
    this.#requests.length = 0;
    this.#unsentBytes = 0;
    this.#wake();
    void this.#responses.cancel();
  }

  async *#outgoing(): AsyncGenerator<Uint8Array> {
    while (!this.#over) {
      const request = this.#requests.shift();
      this.#unsentBytes -= this.#requests[0]?.length ?? 0;
      if (request !== undefined) yield request;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** What a newer version says of a message, as encoded fields. */
function laterFieldsOf({ $unknown: fields = [] }: MessageEnvelope): Uint8Array[] {
  return fields.filter(({ no, wireType }) => no >= FIRST_LATER_FIELD && isKeptWireType(wireType))
    .map(({ no, wireType, data }) => new BinaryWriter().tag(no, wireType).raw(data).finish());
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function toPeerError(error: unknown): PeerError {
  if (error instanceof PeerError) return error;
  if (!(error instanceof StatusError)) {
    return new PeerError("refused", "the peer's answer can't be read", { cause: error });
  }
  // A certificate does not become right within a second: only who is not there at all is asked that often.
  if (error.cause instanceof Error && error.cause.name === "TlsConnectError") {
    const { code } = error.cause as { readonly code?: unknown };
    return new PeerError(code === "failed" ? "unreachable" : "refused", error.message, { cause: error });
  }
  switch (error.code) {
    case Status.UNIMPLEMENTED:
      return new PeerError("unimplemented", error.message, { cause: error });
    case Status.UNAVAILABLE:
    case Status.DEADLINE_EXCEEDED:
    case Status.CANCELLED:
      return new PeerError("unreachable", error.message, { cause: error });
    default:
      return new PeerError("refused", error.message, { cause: error });
  }
}
