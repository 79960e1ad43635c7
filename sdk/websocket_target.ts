import {
  type Connect,
  connectPlatformWebSocket,
  connectTcp,
  connectTcpOverNode,
  connectWebSocket,
} from "@msgbus/grpc";
import type { TlsClientOptions } from "@msgbus/grpc/tls";
import { runtime } from "./runtime.ts";
import type { Target } from "./target.ts";
import { targetError } from "./target_error.ts";
import { connectTlsLazily, tlsOptions, wantsTls } from "./tls_target.ts";

const PLAIN_PORT = 80;
const TLS_PORT = 443;

/**
 * The daemon at "ws://host" or "wss://host", with a port where it is not 80 or 443, and a path where a proxy in between
 * wants one. Browsers have their own WebSocket and their own authorities. Throws TypeError.
 */
export function parseWebSocketTarget(target: string, tls?: boolean | TlsClientOptions): Target {
  const url = URL.canParse(target) ? new URL(target) : undefined;
  if (url === undefined || url.port === "0") throw targetError(target, "it names no host and port");
  if (url.username !== "" || url.password !== "") {
    throw targetError(target, "a name and a password have no meaning in it");
  }
  if (url.hash !== "") throw targetError(target, "a WebSocket has no fragment (#)");
  const secure = url.protocol === "wss:";
  if (!secure && wantsTls(tls)) throw targetError(target, "ws:// is without TLS, and `tls` is given");
  if (secure && tls === false) throw targetError(target, "wss:// is with TLS, and `tls` is false");
  const options = tlsOptions(target, tls);
  return {
    connect: connectTo(target, url, secure, options),
    authority: url.host,
    scheme: secure ? "https" : "http",
  };
}

function connectTo(target: string, url: URL, secure: boolean, options: TlsClientOptions): Connect {
  const where = runtime();
  if (where === "browser") {
    if (Object.keys(options).length > 0) {
      throw targetError(
        target,
        "a browser trusts its own authorities and shows its own certificates, not `tls`",
      );
    }
    return connectPlatformWebSocket(target);
  }
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const port = Number(url.port || (secure ? TLS_PORT : PLAIN_PORT));
  const connect = secure
    ? connectTlsLazily(hostname, port, options, "http/1.1")
    : where === "deno"
    ? connectTcp({ hostname, port })
    : connectTcpOverNode({ hostname, port });
  return connectWebSocket(connect, url.host, url.pathname + url.search);
}
