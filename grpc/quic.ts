/**
 * QUIC for servers and clients of gRPC on Deno, which has it with `--unstable-net`. An entry of its own: who needs no
 * QUIC does not load it.
 *
 * @module
 */
export type { ByteStream, Connect, Listener } from "./transport/byte_stream.ts";
export type { PeerIdentity } from "./transport/peer_identity.ts";
export { hasQuic } from "./transport/quic/availability.ts";
export { connectQuic, type QuicConnectOptions } from "./transport/quic/connect.ts";
export { listenQuic, type QuicListenOptions } from "./transport/quic/listen.ts";
export type { ServerTls, ServerTlsOptions } from "./transport/server_tls.ts";
export type { TcpAddress } from "./transport/tcp.ts";
export { TlsConnectError, type TlsConnectErrorCode } from "./transport/tls_connect_error.ts";
export type { TlsListener } from "./transport/tls_server.ts";
