/**
 * TLS for servers and clients of gRPC. An entry of its own: who needs no TLS does not load it.
 *
 * @module
 */
export { refusalFarewell } from "./refusal_farewell.ts";
export type { ByteStream, Connect, Listener } from "./transport/byte_stream.ts";
export type { CertificateName } from "./transport/certificate_names.ts";
export { TlsCredentialsError, type TlsPart } from "./transport/key_pair.ts";
export type { PeerIdentity } from "./transport/peer_identity.ts";
export { ServerTls, type ServerTlsOptions } from "./transport/server_tls.ts";
export type { TcpAddress } from "./transport/tcp.ts";
export { connectTls, type TlsClientOptions } from "./transport/tls_client.ts";
export { TlsConnectError, type TlsConnectErrorCode } from "./transport/tls_connect_error.ts";
export type { TlsProtocol } from "./transport/tls_protocol.ts";
export type { TlsRefusal, TlsRefusalCode } from "./transport/tls_refusal.ts";
export { webSocketFarewell } from "./transport/websocket/farewell.ts";
export { listenTls, type TlsListener, type TlsListenOptions } from "./transport/tls_server.ts";
