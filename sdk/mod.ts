/**
 * The client of msgbus, a local-first durable message bus: publish, replay, follow, delete, FIFO queues. It runs
 * unchanged on Deno, Node (from 20 on) and Bun, and over WebSocket in browsers.
 *
 * ```ts ignore
 * import { connect } from "@msgbus/sdk";
 *
 * await using bus = connect("127.0.0.1:50051");
 * const { headId } = await bus.publish("orders", { id: 7, total: 12.5 });
 * for await (const message of bus.subscribe("orders", { from: headId })) {
 *   console.log(message.headId, message.json());
 *   break;
 * }
 * ```
 *
 * @module
 */
export type { ByteStream, CertificateName, Clock, Connect, Encoding, PeerIdentity } from "@msgbus/grpc";
export type { TlsClientOptions } from "@msgbus/grpc/tls";
export type { Backoff } from "./backoff.ts";
export type { CallOptions } from "./call_options.ts";
export {
  Client,
  connect,
  type ConsumeOptions,
  type DeleteRangeOptions,
  type FetchOptions,
  type Health,
  type LogOptions,
  type Readiness,
  type SubscribeOptions,
  type TopicHead,
} from "./client.ts";
export type { ClientOptions } from "./client_options.ts";
export { MsgbusError } from "./error.ts";
export { FifoMessage, type FifoMessageFields } from "./fifo_message.ts";
export { type EnqueueOptions, FifoQueue } from "./fifo_queue.ts";
export type { ArchivedLog, ForkDecision, ResolvedFork, ResolveForkOptions } from "./fork.ts";
export { Message } from "./message.ts";
export { type MessageSource, MessageStream } from "./message_stream.ts";
export type { NodeId } from "./node_id.ts";
export type { Payload } from "./payload.ts";
export type { PeerState } from "./peer_state.ts";
export type { PeerSyncState } from "./peer_sync_state.ts";
export type { Reconnect } from "./reconnection.ts";
export type { StatusName } from "./status_name.ts";
export type { PublishOptions } from "./publisher.ts";
export type { ConsumeFrom } from "./consume_source.ts";
export { ConsumeStream } from "./consume_stream.ts";
