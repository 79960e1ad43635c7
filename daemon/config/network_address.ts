/** A place on a network or in the file system. */
export type NetworkAddress =
  | {
    readonly kind: "tcp";
    /** A name or an IP address, IPv6 without brackets. */
    readonly hostname: string;
    /** 0 lets the system choose. */
    readonly port: number;
  }
  | {
    readonly kind: "unix";
    /** Path of the socket. */
    readonly path: string;
  };

/** What an address looks like, for error texts. */
export const ADDRESS_FORMS = "host:port, [v6]:port or unix:/path";

const MAX_PORT = 65_535;

/** Reads `host:port`, `[v6]:port` or `unix:/path`; a text says what is wrong with it. */
export function parseNetworkAddress(text: string): NetworkAddress | string {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path === "") return "the path is missing";
    return path.includes("\0") ? "the path contains a NUL byte" : { kind: "unix", path };
  }
  const match = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text);
  if (match === null) return `it is not ${ADDRESS_FORMS}`;
  const [, v6, name, digits] = match;
  const port = Number(digits);
  if (port > MAX_PORT) return `the port is over ${MAX_PORT}`;
  const hostname = v6 ?? name ?? "";
  if (hostname === "") return "the host is missing";
  if (v6 === undefined ? !/^[\w.-]+$/.test(hostname) : !/^[0-9a-fA-F:.]+(%[\w.-]+)?$/.test(hostname)) {
    return "the host is no name and no IP address";
  }
  return { kind: "tcp", hostname, port };
}

/** The address as {@linkcode parseNetworkAddress} reads it. */
export function formatNetworkAddress(address: NetworkAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
