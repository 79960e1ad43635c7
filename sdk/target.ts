import { type Connect, connectTcp, connectTcpOverNode, connectUnix, connectUnixOverNode } from "@msgbus/grpc";

const MAX_PORT = 65_535;
/** `[v6]:port`, or a name or an IPv4 address and a port. */
const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]|([\w.-]+)):([0-9]{1,5})$/;

/**
 * How to connect to "host:port", "[v6]:port", "http://host:port" or "unix:/path", through what the runtime offers.
 * Throws TypeError for anything else.
 */
export function connectorOf(target: string): Connect {
  const isDeno = "Deno" in globalThis;
  if (target.startsWith("unix:")) {
    const path = target.slice("unix:".length);
    if (path === "") throw unusable(target, "the path is missing");
    return isDeno ? connectUnix(path) : connectUnixOverNode(path);
  }
  if (target.startsWith("https://")) throw unusable(target, "this version has no TLS");
  const match = HOST_PORT.exec(target.replace(/^http:\/\//, "").replace(/\/$/, ""));
  const hostname = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (hostname === undefined || port === 0 || port > MAX_PORT) {
    throw unusable(target, "it names no host and port");
  }
  return isDeno ? connectTcp({ hostname, port }) : connectTcpOverNode({ hostname, port });
}

function unusable(target: string, why: string): TypeError {
  return new TypeError(
    `Cannot connect to ${
      JSON.stringify(target)
    }: ${why}; give host:port, [v6]:port, http://host:port or unix:/path`,
  );
}
