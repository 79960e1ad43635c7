import {
  type GrpcServer,
  type MethodKind,
  type ServerCall,
  Status,
  StatusError,
  type StreamingServerCall,
} from "@msgbus/grpc/server";
import type { Bus } from "../bus/bus.ts";
import type { Message } from "../bus/message.ts";
import { Slab } from "../bus/slab.ts";
import type { BusOf } from "./bus_of.ts";
import { EnvelopeEncoder } from "./envelope.ts";
import { readFetchRequest, readSubscribeRequest } from "./log_request.ts";
import type { PeerStates } from "./peer_states.ts";
import { healthResponse, readEmptyRequest, readyResponse } from "./probes.ts";
import { readPublishRequest } from "./publish_request.ts";
import { statusOfBusError } from "./status.ts";
import { registerUnary } from "./unary_methods.ts";

/** The metadata that makes a Publish one that is stored once. */
const IDEMPOTENCY_KEY = "idempotency-key";

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
  // Nobody's messages are decompressed before it is known whose they are.
  const admit = busOf && ((call: ServerCall) => void busOf(call));
  const method = (name: string, handler: MethodKind) =>
    server.method(`/msgbus.v1.MsgbusService/${name}`, { ...handler, ...admit !== undefined && { admit } });

  method("Publish", {
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
    "Fetch",
    streaming(readFetchRequest, async ({ archive, ...range }, call) => {
      const access = accessOf(call);
      const pages = (archive === "" ? access.fetch(range) : access.fetchArchived(range, archive))
        [Symbol.asyncIterator]();
      const next = () => call.inTurn(() => pages.next(), access.revoked);
      for (let page = await next(); page.done !== true; page = await next()) {
        sendAll(call, envelopes, page.value);
      }
    }),
  );
  method(
    "Subscribe",
    streaming(readSubscribeRequest, async (request, call) => {
      const access = accessOf(call);
      const subscription = access.subscribe(request);
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
  registerUnary(server, async () => {
    const { unaryHandlers } = await import("./unary_handlers.ts");
    return unaryHandlers(accessOf, peers);
  }, admit);
  // What load balancers ask, who have no token.
  server.method("/msgbus.v1.MsgbusService/Health", {
    kind: "unary",
    handle: (request) => {
      readEmptyRequest(request, "msgbus.v1.HealthRequest");
      return healthResponse(bus.node, bus.incarnation);
    },
  });
  server.method("/msgbus.v1.MsgbusService/Ready", {
    kind: "unary",
    handle: async (request) => {
      readEmptyRequest(request, "msgbus.v1.ReadyRequest");
      return readyResponse(await bus.ready(), bus.node, durability);
    },
  });
}

function streaming<Request>(
  read: (bytes: Uint8Array) => Request,
  answer: (request: Request, call: StreamingServerCall) => Promise<void>,
): MethodKind {
  return {
    kind: "server_streaming",
    async handle(bytes, call) {
      const request = read(bytes);
      try {
        await answer(request, call);
      } catch (error) {
        throw statusOfBusError(error);
      }
    },
  };
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
