import type { Connect } from "@msgbus/grpc";
import type { TlsClientOptions, TlsProtocol } from "@msgbus/grpc/tls";
import { targetError } from "./target_error.ts";

/** Whether the option `tls` asks for TLS. */
export function wantsTls(tls: boolean | TlsClientOptions | undefined): boolean {
  return tls !== undefined && tls !== false;
}

/** What the option `tls` says of a target with TLS. Throws TypeError. */
export function tlsOptions(target: string, tls: boolean | TlsClientOptions | undefined): TlsClientOptions {
  if (typeof tls !== "object") return {};
  if ((tls.cert === undefined) === (tls.key === undefined)) return tls;
  const missing = tls.cert === undefined ? "tls.cert" : "tls.key";
  throw targetError(target, `${missing} is missing: a certificate needs its key`);
}

/** Most clients talk to a daemon on their own machine: TLS is loaded where it is used. */
export function connectTlsLazily(
  hostname: string,
  port: number,
  options: TlsClientOptions,
  protocol: TlsProtocol,
): Connect {
  let connecting: Promise<Connect> | undefined;
  return async (signal) => {
    connecting ??= import("@msgbus/grpc/tls").then(({ connectTls }) =>
      connectTls({ hostname, port }, options, protocol)
    );
    return (await connecting)(signal);
  };
}
