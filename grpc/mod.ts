/**
 * gRPC in TypeScript over any byte stream: server and client, HTTP/2 included, no native code.
 *
 * @module
 */
export type { CallOptions, Pace } from "./call_options.ts";
export { Channel, type ChannelCompression, type ChannelOptions, ResponseStream } from "./channel.ts";
export { Forbearance } from "./forbearance.ts";
export { SLOWEST_BYTES_PER_MS } from "./limits.ts";
export * from "./serving.ts";
export { listenMemory, memoryPipe } from "./transport/memory.ts";
export { connectTcpOverNode, connectUnixOverNode } from "./transport/node_socket.ts";
export { connectTcp } from "./transport/tcp.ts";
export { connectUnix } from "./transport/unix.ts";
export { connectWebSocket } from "./transport/websocket/connect.ts";
export { connectPlatformWebSocket } from "./transport/websocket/platform.ts";
