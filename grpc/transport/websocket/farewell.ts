import { refusalText } from "./handshake.ts";

/** What a WebSocket's client hears that TLS refuses after its handshake: `TlsListenOptions.farewell` for `listenWebSocket`. */
export function webSocketFarewell(reason: string): Uint8Array {
  return new TextEncoder().encode(refusalText({ status: "403 Forbidden", reason }));
}
