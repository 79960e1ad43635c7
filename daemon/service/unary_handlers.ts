import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { ServerCall } from "@msgbus/grpc/server";
import {
  AckFifoRequestSchema,
  AckFifoResponseSchema,
  DeleteRangeRequestSchema,
  DeleteRangeResponseSchema,
  EnqueueFifoRequestSchema,
  EnqueueFifoResponseSchema,
  FifoMessageSchema,
  GetHeadRequestSchema,
  GetHeadResponseSchema,
  ListHeadsRequestSchema,
  ListPeerSyncStatesRequestSchema,
  ListPeerSyncStatesResponseSchema,
  PeekFifoRequestSchema,
  PeekFifoResponseSchema,
  RejectFifoRequestSchema,
  RejectFifoResponseSchema,
} from "@msgbus/proto";
import { decodeHeaders, encodeHeaders } from "../bus/headers.ts";
import { PEER_ITSELF } from "../bus/names.ts";
import { systemTimer } from "../bus/timer.ts";
import type { FifoMessage } from "../store/store.ts";
import type { BusOf } from "./bus_of.ts";
import { HeadsEncoder } from "./list_heads.ts";
import { nodeNameOf } from "./node_id.ts";
import { type PeerStates, wirePeerState, wireSyncState } from "./peer_states.ts";
import { statusOfBusError } from "./status.ts";
import type { Unary, UnaryHandlers } from "./unary_methods.ts";
import { unreadableRequest } from "./unreadable_request.ts";

/** What answers the calls that the generated code reads and writes. */
export function unaryHandlers(accessOf: BusOf, peers: PeerStates | undefined): UnaryHandlers {
  const headsEncoder = new HeadsEncoder(nextTurn);
  return {
    GetHead: unary(GetHeadRequestSchema, GetHeadResponseSchema, (request, call) => {
      const head = accessOf(call).head(request.topic, nodeNameOf(request.origin));
      return create(GetHeadResponseSchema, { headId: BigInt(head ?? 0), found: head !== undefined });
    }),
    ListHeads: answering(ListHeadsRequestSchema, async (_, call) => {
      const access = accessOf(call);
      return await headsEncoder.encode(() => access.heads(), call.signal);
    }),
    ListPeerSyncStates: unary(
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
    DeleteRange: unary(DeleteRangeRequestSchema, DeleteRangeResponseSchema, async (request, call) => {
      const deletedCount = await accessOf(call).deleteRange({
        topic: request.topic,
        origin: nodeNameOf(request.origin),
        fromHeadId: toNumber(request.fromHeadId),
        toHeadId: toNumber(request.toHeadId),
      });
      return create(DeleteRangeResponseSchema, { deletedCount: BigInt(deletedCount) });
    }),
    EnqueueFifo: unary(EnqueueFifoRequestSchema, EnqueueFifoResponseSchema, async (request, call) => {
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
    PeekFifo: unary(
      PeekFifoRequestSchema,
      PeekFifoResponseSchema,
      async (request, call) =>
        create(PeekFifoResponseSchema, {
          message: fifoMessage(await accessOf(call).peekFifo(request.queue)),
        }),
    ),
    AckFifo: unary(
      AckFifoRequestSchema,
      AckFifoResponseSchema,
      async (request, call) =>
        create(AckFifoResponseSchema, {
          accepted: await accessOf(call).ackFifo(request.queue, request.messageId),
        }),
    ),
    RejectFifo: unary(
      RejectFifoRequestSchema,
      RejectFifoResponseSchema,
      async (request, call) =>
        create(RejectFifoResponseSchema, {
          accepted: await accessOf(call).rejectFifo(request.queue, request.messageId),
        }),
    ),
  };
}

function unary<Request extends DescMessage, Response extends DescMessage>(
  requestSchema: Request,
  responseSchema: Response,
  answer: (
    request: MessageShape<Request>,
    call: ServerCall,
  ) => MessageShape<Response> | Promise<MessageShape<Response>>,
): Unary {
  return answering(
    requestSchema,
    async (request, call) => toBinary(responseSchema, await answer(request, call)),
  );
}

function answering<Request extends DescMessage>(
  requestSchema: Request,
  answer: (request: MessageShape<Request>, call: ServerCall) => Promise<Uint8Array>,
): Unary {
  return async (bytes, call) => {
    const request = decode(requestSchema, bytes);
    try {
      return await answer(request, call);
    } catch (error) {
      throw statusOfBusError(error);
    }
  };
}

/** Settles when everything else that is due has had its turn. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => void systemTimer(0, resolve));
}

function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw unreadableRequest(schema.typeName, error);
  }
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
