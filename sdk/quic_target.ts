import type { Connect } from "@msgbus/grpc";
import type { TcpAddress, TlsClientOptions } from "@msgbus/grpc/tls";
import { runtime } from "./runtime.ts";
import type { Target } from "./target.ts";
import { targetError } from "./target_error.ts";

/** What the daemon's QUIC connections carry (ALPN). */
const QUIC_PROTOCOL = "msgbus";

/** The daemon at "quic://host:port", on Deno. Throws TypeError. */
export function parseQuicTarget(
  target: string,
  address: TcpAddress,
  tls: boolean | TlsClientOptions | undefined,
): Target {
  if (runtime() !== "deno") throw targetError(target, "QUIC needs Deno; use https:// here");
  if (tls === false) throw targetError(target, "quic:// is with TLS, and `tls` is false");
  const options = typeof tls === "object" ? tls : {};
  if (options.cert !== undefined || options.key !== undefined) {
    throw targetError(target, "QUIC can't show a client certificate; use https:// with it");
  }
  const { hostname, port } = address;
  const authority = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  return { connect: connectLazily(address, options), authority, scheme: "https" };
}

function connectLazily(
  address: TcpAddress,
  { ca, fingerprints, serverName }: TlsClientOptions,
): Connect {
  let connecting: Promise<Connect> | undefined;
  return async (signal) => {
    connecting ??= import("@msgbus/grpc/quic").then(({ connectQuic }) =>
      connectQuic(address, {
        protocol: QUIC_PROTOCOL,
        ...(ca !== undefined && { ca }),
        ...(fingerprints !== undefined && { fingerprints }),
        ...(serverName !== undefined && { serverName }),
      })
    );
    return (await connecting)(signal);
  };
}
