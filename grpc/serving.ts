/**
 * The server half of gRPC in TypeScript: what a program needs that serves calls and makes none. Without the client,
 * and without a codec.
 *
 * @module
 */
export { badRequest, type FieldViolation } from "./bad_request.ts";
export { type Clock, systemClock } from "./clock.ts";
export type { Codec } from "./compression/codec.ts";
export type { Encoding } from "./compression/encoding.ts";
export { DEFAULT_HTTP2_LIMITS, type Http2Limits, type RateLimit } from "./http2/limits.ts";
export type { HeaderField } from "./http2/hpack/header_field.ts";
export { DEFAULT_GRPC_LIMITS, type GrpcLimits } from "./limits.ts";
export { FramedMessage, MESSAGE_PREFIX_BYTES } from "./message_reader.ts";
export { Metadata, type MetadataValue } from "./metadata.ts";
export type { MethodHandler, MethodKind, UnaryResponse } from "./method.ts";
export { GrpcServer, type GrpcServerOptions } from "./server.ts";
export type { ServerCall, StreamingServerCall } from "./server_call.ts";
export { Status, StatusError, type StatusName, statusName, statusOf } from "./status.ts";
export type { ByteStream, Connect, Listener } from "./transport/byte_stream.ts";
export type { CertificateName } from "./transport/certificate_names.ts";
export type { PeerIdentity } from "./transport/peer_identity.ts";
export { formatTcpAddress, listenTcp, type TcpAddress } from "./transport/tcp.ts";
export { listenUnix } from "./transport/unix.ts";
export { listenWebSocket, type WebSocketListenOptions } from "./transport/websocket/listen.ts";
