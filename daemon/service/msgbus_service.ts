import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  type GrpcServer,
  type MethodHandler,
  type ServerCall,
  Status,
  StatusError,
  type StreamingServerCall,
} from "@msgbus/grpc/server";
import {
  AckFifoRequestSchema,
  AckFifoResponseSchema,
  DeleteRangeRequestSchema,
  DeleteRangeResponseSchema,
  EnqueueFifoRequestSchema,
  EnqueueFifoResponseSchema,
  FetchRequestSchema,
  FifoMessageSchema,
  GetHeadRequestSchema,
  GetHeadResponseSchema,
  HealthRequestSchema,
  HealthResponseSchema,
  ListHeadsRequestSchema,
  ListHeadsResponseSchema,
  ListPeerSyncStatesRequestSchema,
  ListPeerSyncStatesResponseSchema,
  MsgbusService,
  PeekFifoRequestSchema,
  PeekFifoResponseSchema,
  ReadyRequestSchema,
  ReadyResponseSchema,
  RejectFifoRequestSchema,
  RejectFifoResponseSchema,
  SubscribeRequestSchema,
} from "@msgbus/proto";
import type { Bus } from "../bus/bus.ts";
import type { BusAccess } from "../bus/bus_access.ts";
import { decodeHeaders, encodeHeaders } from "../bus/headers.ts";
import type { Message } from "../bus/message.ts";
import { PEER_ITSELF } from "../bus/names.ts";
import type { FifoMessage } from "../store/store.ts";
import { EnvelopeEncoder } from "./envelope.ts";
import { nodeNameOf } from "./node_id.ts";
import { type PeerStates, wirePeerState, wireSyncState } from "./peer_states.ts";
import { readPublishRequest } from "./publish_request.ts";
import { Slab } from "./slab.ts";
import { statusOfBusError } from "./status.ts";

/** The metadata that makes a Publish one that is stored once. */
const IDEMPOTENCY_KEY = "idempotency-key";

/** What load balancers ask, who have no token. */
const OPEN_TO_ALL: readonly string[] = ["health", "ready"];

/** The bus as the caller may use it. Throws StatusError when the caller is nobody. */
export type BusOf = (call: ServerCall) => BusAccess;

/**
 * Registers `msgbus.v1.MsgbusService` over a bus. Request to bus call to response: no rule of its own. `busOf` decides
 * who may do what; Health and Ready answer everybody. `stopping` ends the subscriptions, which have no end of their own,
 * with UNAVAILABLE. `peers` tells of the synchronization, where there is any; `durability` is what Ready says of it.
 */
export function serveMsgbus(
  server: GrpcServer,
  bus: Bus,
  stopping: AbortSignal,
  busOf?: BusOf,
  peers?: PeerStates,
  durability = "",
): void {
  const accessOf: BusOf = busOf ?? (() => bus);
  const envelopes = new EnvelopeEncoder();
  const payloads = new Slab();
  const method = (name: keyof typeof MsgbusService.method, handler: MethodHandler) =>
    server.method(`/${MsgbusService.typeName}/${MsgbusService.method[name].name}`, {
      ...handler,
      // Nobody's messages are decompressed before it is known whose they are.
      ...busOf !== undefined && !OPEN_TO_ALL.includes(name) &&
        { admit: (call: ServerCall) => void busOf(call) },
    });

  method("publish", {
    kind: "unary",
    handle: (request, call) =>
      accessOf(call).publish({ ...readPublishRequest(request, payloads), ...idempotencyKeyOf(call) }).then(
        (message) => envelopes.encode(message),
        (error) => {
          throw statusOfBusError(error);
        },
      ),
  });
  method(
    "fetch",
    streaming(FetchRequestSchema, async (request, call) => {
      const access = accessOf(call);
      const range = {
        topic: request.topic,
        origin: nodeNameOf(request.origin),
        fromHeadId: toNumber(request.fromHeadId),
        limit: request.limit,
      };
      const archived = request.archive !== "";
      const pages = (archived ? access.fetchArchived(range, request.archive) : access.fetch(range))
        [Symbol.asyncIterator]();
      const next = () => call.inTurn(() => pages.next(), access.revoked);
      for (let page = await next(); page.done !== true; page = await next()) {
        sendAll(call, envelopes, page.value);
      }
    }),
  );
  method(
    "subscribe",
    streaming(SubscribeRequestSchema, async (request, call) => {
      const access = accessOf(call);
      const subscription = access.subscribe({
        topic: request.topic,
        origin: nodeNameOf(request.origin),
        fromHeadId: toNumber(request.fromHeadId),
        pageSize: request.replayLimit,
      });
      const ending = access.revoked === undefined ? stopping : AbortSignal.any([stopping, access.revoked]);
      const stop = () => subscription.close();
      ending.addEventListener("abort", stop, { once: true });
      try {
        const { signal } = call;
        const read = () => call.inTurn(() => subscription.next(signal), ending);
        const follow = async () => {
          await call.ready(ending);
          return await (subscription.behind ? read() : subscription.next(signal));
        };
        // Where there is something to read, it is asked for at once, before anything else is done.
        const next = () => subscription.behind ? read() : follow();
        // One page is sent while the store reads the one after it.
        let ahead = next();
        // Where the daemon stops already, nobody asks for it.
        ahead.catch(() => {});
        while (!ending.aborted) {
          const page = await ahead;
          ahead = next();
          // Where the daemon stops first, nobody asks for this page any more.
          ahead.catch(() => {});
          sendAll(call, envelopes, page);
        }
        access.revoked?.throwIfAborted();
        throw new StatusError(Status.UNAVAILABLE, "the daemon stops: connect again");
      } finally {
        ending.removeEventListener("abort", stop);
        subscription.close();
      }
    }),
  );
  method(
    "getHead",
    unary(GetHeadRequestSchema, GetHeadResponseSchema, (request, call) => {
      const head = accessOf(call).head(request.topic, nodeNameOf(request.origin));
      return create(GetHeadResponseSchema, { headId: BigInt(head ?? 0), found: head !== undefined });
    }),
  );
  method(
    "listHeads",
    unary(ListHeadsRequestSchema, ListHeadsResponseSchema, (_, call) =>
      create(ListHeadsResponseSchema, {
        heads: accessOf(call).heads().map(({ topic, origin, headId, incarnation }) => ({
          topic,
          origin,
          headId: BigInt(headId),
          incarnation,
        })),
      })),
  );
  method(
    "listPeerSyncStates",
    unary(
      ListPeerSyncStatesRequestSchema,
      ListPeerSyncStatesResponseSchema,
      async (_, call) => {
        const access = accessOf(call);
        access.requireGrant("admin", "list peer sync states");
        await peers?.record();
        return create(ListPeerSyncStatesResponseSchema, {
          states: (await access.peerSyncStates()).filter(({ topic }) => topic !== PEER_ITSELF).map(
            wireSyncState,
          ),
          peers: peers?.peers().map(wirePeerState) ?? [],
        });
      },
    ),
  );
  method(
    "deleteRange",
    unary(DeleteRangeRequestSchema, DeleteRangeResponseSchema, async (request, call) => {
      const deletedCount = await accessOf(call).deleteRange({
        topic: request.topic,
        origin: nodeNameOf(request.origin),
        fromHeadId: toNumber(request.fromHeadId),
        toHeadId: toNumber(request.toHeadId),
      });
      return create(DeleteRangeResponseSchema, { deletedCount: BigInt(deletedCount) });
    }),
  );
  method(
    "enqueueFifo",
    unary(EnqueueFifoRequestSchema, EnqueueFifoResponseSchema, async (request, call) => {
      const message = await accessOf(call).enqueueFifo({
        queue: request.queue,
        topic: request.topic,
        source: nodeNameOf(request.source),
        target: nodeNameOf(request.target),
        payload: request.payload,
        headers: encodeHeaders(request.headers),
      });
      return create(EnqueueFifoResponseSchema, { message: fifoMessage(message) });
    }),
  );
  method(
    "peekFifo",
    unary(
      PeekFifoRequestSchema,
      PeekFifoResponseSchema,
      async (request, call) =>
        create(PeekFifoResponseSchema, {
          message: fifoMessage(await accessOf(call).peekFifo(request.queue)),
        }),
    ),
  );
  method(
    "ackFifo",
    unary(
      AckFifoRequestSchema,
      AckFifoResponseSchema,
      async (request, call) =>
        create(AckFifoResponseSchema, {
          accepted: await accessOf(call).ackFifo(request.queue, request.messageId),
        }),
    ),
  );
  method(
    "rejectFifo",
    unary(
      RejectFifoRequestSchema,
      RejectFifoResponseSchema,
      async (request, call) =>
        create(RejectFifoResponseSchema, {
          accepted: await accessOf(call).rejectFifo(request.queue, request.messageId),
        }),
    ),
  );
  method(
    "health",
    unary(
      HealthRequestSchema,
      HealthResponseSchema,
      () => create(HealthResponseSchema, { status: "SERVING", node: bus.node, incarnation: bus.incarnation }),
    ),
  );
  method(
    "ready",
    unary(ReadyRequestSchema, ReadyResponseSchema, async () => {
      const state = await bus.ready();
      return create(ReadyResponseSchema, {
        ready: state.ready,
        status: state.ready ? "READY" : "NOT_READY",
        error: state.ready ? "" : state.error,
        node: bus.node,
        durability,
      });
    }),
  );
}

function unary<Request extends DescMessage, Response extends DescMessage>(
  requestSchema: Request,
  responseSchema: Response,
  answer: (
    request: MessageShape<Request>,
    call: ServerCall,
  ) => MessageShape<Response> | Promise<MessageShape<Response>>,
): MethodHandler {
  return {
    kind: "unary",
    async handle(bytes, call) {
      const request = decode(requestSchema, bytes);
      try {
        return toBinary(responseSchema, await answer(request, call));
      } catch (error) {
        throw statusOfBusError(error);
      }
    },
  };
}

function streaming<Request extends DescMessage>(
  requestSchema: Request,
  answer: (request: MessageShape<Request>, call: StreamingServerCall) => Promise<void>,
): MethodHandler {
  return {
    kind: "server_streaming",
    async handle(bytes, call) {
      const request = decode(requestSchema, bytes);
      try {
        await answer(request, call);
      } catch (error) {
        throw statusOfBusError(error);
      }
    },
  };
}

function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new StatusError(Status.INVALID_ARGUMENT, `Cannot read the request: it is no ${schema.typeName}`, {
      cause: error,
    });
  }
}

/** The key that a call of Publish says for its message. Throws StatusError INVALID_ARGUMENT where it can't be one. */
function idempotencyKeyOf({ metadata }: ServerCall): { readonly key?: string } {
  if (metadata.isUnreadable(IDEMPOTENCY_KEY)) {
    throw new StatusError(
      Status.INVALID_ARGUMENT,
      "Cannot publish: the idempotency-key is not printable ASCII; give another",
    );
  }
  const [key, ...more] = metadata.getAll(IDEMPOTENCY_KEY);
  if (more.length > 0) {
    throw new StatusError(
      Status.INVALID_ARGUMENT,
      "Cannot publish: there is more than one idempotency-key; give one",
    );
  }
  return typeof key === "string" ? { key } : {};
}

/** Sends a page whole, at once: whoever reads the next one waits first. */
function sendAll(call: StreamingServerCall, envelopes: EnvelopeEncoder, page: readonly Message[]): void {
  for (const message of page) call.send(envelopes.encode(message));
}

/** A head of the wire as a number; one beyond the safe integers lies beyond every log all the same. */
function toNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

function fifoMessage(message: FifoMessage) {
  return create(FifoMessageSchema, {
    ...message,
    headers: decodeHeaders(message.headers),
    createdAtMs: BigInt(message.createdAtMs),
    sequence: BigInt(message.sequence),
  });
}
