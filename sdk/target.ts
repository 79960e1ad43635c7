/**
 * How the SDK reaches a daemon: for programs that speak its protocol themselves.
 *
 * @module
 */
import { type Connect, connectTcp, connectTcpOverNode, connectUnix, connectUnixOverNode } from "@msgbus/grpc";
import type { TlsClientOptions } from "@msgbus/grpc/tls";
import { runtime } from "./runtime.ts";
import { targetError } from "./target_error.ts";
import { connectTlsLazily, tlsOptions, wantsTls } from "./tls_target.ts";
import { parseQuicTarget } from "./quic_target.ts";
import { parseWebSocketTarget } from "./websocket_target.ts";

/** A daemon, as a channel needs to know it. */
export interface Target {
  /** Opens a connection to it. */
  readonly connect: Connect;
  /** What it is called in requests. */
  readonly authority: string;
  /** How requests say that they came. */
  readonly scheme: "http" | "https";
}

const MAX_PORT = 65_535;
/** `[v6]:port`, or a name or an IPv4 address and a port. */
const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([\w.-]+)):([0-9]{1,5})$/;

/**
 * The daemon at "host:port", "[v6]:port", "http://host:port", "https://host:port", "ws://host", "wss://host", "quic://host:port" or
 * "unix:/path", through what the runtime offers. Without a scheme it is reached with TLS where `tls` is given. Throws
 * TypeError for anything else.
 */
export function parseTarget(target: string, tls?: boolean | TlsClientOptions): Target {
  if (/^wss?:\/\//.test(target)) return parseWebSocketTarget(target, tls);
  const where = runtime();
  if (where === "browser") throw targetError(target, "a browser has only WebSockets");
  if (target.startsWith("unix:")) {
    const path = target.slice("unix:".length);
    if (path === "") throw targetError(target, "the path is missing");
    if (wantsTls(tls)) throw targetError(target, "a unix socket has no TLS");
    return {
      connect: where === "deno" ? connectUnix(path) : connectUnixOverNode(path),
      authority: authorityOf(target),
      scheme: "http",
    };
  }
  const scheme = /^https?(?=:\/\/)/.exec(target)?.[0];
  if (scheme === "http" && wantsTls(tls)) {
    throw targetError(target, "http:// is without TLS, and `tls` is given");
  }
  if (scheme === "https" && tls === false) {
    throw targetError(target, "https:// is with TLS, and `tls` is false");
  }
  const { hostname, port } = hostAndPort(target);
  if (target.startsWith("quic://")) return parseQuicTarget(target, { hostname, port }, tls);
  const authority = authorityOf(target);
  if (scheme === "https" || wantsTls(tls)) {
    const connect = connectTlsLazily(hostname, port, tlsOptions(target, tls), "h2");
    return { connect, authority, scheme: "https" };
  }
  const connect = where === "deno" ? connectTcp : connectTcpOverNode;
  return { connect: connect({ hostname, port }), authority, scheme: "http" };
}

/** What the daemon at a target is called in requests. */
export function authorityOf(target: string): string {
  return target.startsWith("unix:")
    ? "localhost"
    : target.replace(/^(https?|wss?|quic):\/\//, "").replace(/\/.*$/, "");
}

function hostAndPort(target: string): { readonly hostname: string; readonly port: number } {
  const match = HOST_PORT.exec(target.replace(/^(https?|quic):\/\//, "").replace(/\/$/, ""));
  const hostname = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (hostname === undefined || port === 0 || port > MAX_PORT) {
    throw targetError(target, "it names no host and port");
  }
  return { hostname, port };
}
