import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type GrpcServer, type ServerCall, Status, StatusError } from "@msgbus/grpc/server";
import {
  ForkDecision as WireDecision,
  ListArchivedLogsRequestSchema,
  ListArchivedLogsResponseSchema,
  ProveRequestSchema,
  ProveResponseSchema,
  ResolveForkRequestSchema,
  ResolveForkResponseSchema,
} from "@msgbus/proto/sync";
import type { Bus } from "../bus/bus.ts";
import type { BusAccess } from "../bus/bus_access.ts";
import { BusError } from "../bus/error.ts";
import type { Timer } from "../bus/timer.ts";
import { answerSync, nodeOf } from "./answer_sync.ts";
import { NONCE_BYTES, type SharedSecret } from "./shared_secret.ts";
import { registerSync, type SyncHandlers } from "./sync_methods.ts";
import type { ForkDecision, Synchronizer } from "./synchronizer.ts";

/** What serving needs beside the bus. */
export interface ServeSyncOptions {
  /** Undefined where the node copies from nobody. */
  readonly synchronizer: Synchronizer | undefined;
  readonly timer: Timer;
  /** What the daemon proves to know; undefined where it knows none. */
  readonly secret?: SharedSecret | undefined;
  /** Whether a "host:port" is this daemon's: it proves nothing for others, who could pass that on as their own. */
  readonly isOwnAddress?: (address: string) => boolean;
  /** Aborted when the daemon stops: sessions have no end of their own. */
  readonly stopping: AbortSignal;
  /** The bus as the caller may use it; throws StatusError when the caller is nobody. */
  readonly accessOf: (call: ServerCall) => BusAccess;
  readonly statusOf: (error: unknown) => unknown;
}

/** What answers SyncService: sessions for whoever has the grant "sync", decisions for admins. */
export function syncHandlers(bus: Bus, options: ServeSyncOptions): SyncHandlers {
  const { synchronizer, timer, stopping, accessOf, statusOf } = options;

  const unary = <Request extends DescMessage, Response extends DescMessage>(
    requestSchema: Request,
    responseSchema: Response,
    answer: (request: MessageShape<Request>) => Promise<MessageShape<Response>>,
  ) =>
  async (bytes: Uint8Array, call: ServerCall) => {
    try {
      accessOf(call).requireGrant("admin", "decide about logs");
      return toBinary(responseSchema, await answer(decode(requestSchema, bytes)));
    } catch (error) {
      throw statusOf(error);
    }
  };

  return {
    async Sync(requests, call) {
      try {
        const access = accessOf(call);
        access.requireGrant("sync", "copy all logs");
        const ending = AbortSignal.any([call.signal, stopping, ...access.revoked ? [access.revoked] : []]);
        await answerSync(bus, requests, call, ending, timer);
        access.revoked?.throwIfAborted();
      } catch (error) {
        throw statusOf(error);
      }
      if (stopping.aborted) throw new StatusError(Status.UNAVAILABLE, "the daemon stops: connect again");
    },

    // Open to all: the answer tells nothing to who does not know the secret.
    async Prove(bytes) {
      try {
        const { nonce, address } = decode(ProveRequestSchema, bytes);
        if (options.secret === undefined) {
          throw new BusError(
            "failed_precondition",
            "Cannot prove anything: this node has no --discover-secret-file",
          );
        }
        if (nonce.length !== NONCE_BYTES) {
          throw new BusError(
            "invalid_argument",
            `Cannot prove: nonce has ${nonce.length} bytes; send ${NONCE_BYTES}`,
            {
              field: "nonce",
            },
          );
        }
        if (options.isOwnAddress?.(address) !== true) {
          throw new BusError(
            "failed_precondition",
            `Cannot prove: "${address}" is not where this node is announced`,
          );
        }
        const proof = await options.secret.prove(bus, address, nonce);
        return toBinary(ProveResponseSchema, create(ProveResponseSchema, { proof }));
      } catch (error) {
        throw statusOf(error);
      }
    },

    ResolveFork: unary(ResolveForkRequestSchema, ResolveForkResponseSchema, async (request) => {
      if (synchronizer === undefined) {
        throw new BusError("not_found", "Cannot resolve: this node copies from no peer; give it --peer");
      }
      const forks = await synchronizer.resolve({
        peer: request.peer,
        origin: nodeOf(request.origin),
        topic: request.topic,
        decision: decisionOf(request.decision),
      });
      return create(ResolveForkResponseSchema, { forks: forks.map((fork) => ({ ...fork })) });
    }),

    ListArchivedLogs: unary(ListArchivedLogsRequestSchema, ListArchivedLogsResponseSchema, async () => {
      const logs = await bus.archivedLogs();
      return create(ListArchivedLogsResponseSchema, {
        logs: logs.map(({ topic, origin, name, headId }) => ({
          topic,
          origin,
          archive: name,
          headId: BigInt(headId),
        })),
      });
    }),
  };
}

/** Registers SyncService with its code already there. */
export function serveSync(server: GrpcServer, bus: Bus, options: ServeSyncOptions): void {
  registerSync(server, () => Promise.resolve(syncHandlers(bus, options)));
}

function decisionOf(decision: WireDecision): ForkDecision {
  switch (decision) {
    case WireDecision.ADOPT:
      return "adopt";
    case WireDecision.REFUSE:
      return "refuse";
    default:
      throw new BusError("invalid_argument", "Cannot resolve: decision is neither ADOPT nor REFUSE", {
        field: "decision",
      });
  }
}

function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new BusError("invalid_argument", `Cannot read the request: it is no ${schema.typeName}`, {
      cause: error,
    });
  }
}
