import { isValidAt } from "./key_pair.ts";
import type { TcpAddress } from "./tcp.ts";
import type { TlsProtocol } from "./tls_protocol.ts";

/** Milliseconds that looking at a certificate may take: it is for an error's words alone. */
const TIMEOUT_MS = 1_000;

/**
 * Whether the server at an address shows a certificate that is not valid now. Deno's node:tls says of such a one only
 * that it could not be verified, which sends people looking for an authority; so the certificate is looked at over a
 * connection of its own, which carries nothing and is closed at once.
 */
export async function showsExpiredCertificate(
  address: TcpAddress,
  serverName: string | undefined,
  protocol: TlsProtocol,
): Promise<boolean> {
  const { connect } = await import("node:tls");
  return await new Promise((resolve) => {
    const socket = connect({
      host: address.hostname,
      port: address.port,
      ...(serverName !== undefined && { servername: serverName }),
      ALPNProtocols: [protocol],
      rejectUnauthorized: false,
    });
    const end = (expired: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(expired);
    };
    const timer = setTimeout(() => end(false), TIMEOUT_MS);
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
    socket.on("secureConnect", () => {
      const certificate = socket.getPeerX509Certificate();
      end(certificate !== undefined && !isValidAt(certificate, Date.now()));
    });
  });
}
