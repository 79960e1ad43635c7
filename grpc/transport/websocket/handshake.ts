const decoder = new TextDecoder("latin1");
const END_OF_HEAD = [13, 10, 13, 10];
/** What is added to the client's key (RFC 6455 §1.3). */
const ACCEPT_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const VERSION = "13";
const KEY_BYTES = 16;
/** A handshake's request or answer with all its lines. */
export const MAX_HEAD_BYTES = 16_384;
/** What is shown of an answer that was not expected. */
const MAX_REASON_BYTES = 200;

/** The first line and the fields of an HTTP/1.1 message. */
export interface Head {
  readonly firstLine: string;
  /** By name in lower case; values of a name that came several times are joined with commas. */
  readonly fields: ReadonlyMap<string, string>;
}

/** Where the head ends, behind its empty line; -1 where it has not come yet. */
export function headEnd(bytes: Uint8Array): number {
  for (let at = bytes.indexOf(13); at >= 0; at = bytes.indexOf(13, at + 1)) {
    if (END_OF_HEAD.every((octet, offset) => bytes[at + offset] === octet)) return at + END_OF_HEAD.length;
  }
  return -1;
}

/** Reads a whole head; undefined where a line is none of HTTP. */
export function parseHead(bytes: Uint8Array): Head | undefined {
  const [firstLine = "", ...lines] = decoder.decode(bytes.subarray(0, -END_OF_HEAD.length)).split("\r\n");
  const fields = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon)).toLowerCase();
    if (!FIELD_NAME.test(name) || /[\r\n\0]/.test(line)) return undefined;
    const value = line.slice(colon + 1).trim();
    const before = fields.get(name);
    fields.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { firstLine, fields };
}

/** Why a request can't become a WebSocket, as an HTTP answer says it. */
export interface HandshakeRefusal {
  readonly status: string;
  readonly reason: string;
  readonly fields?: readonly string[];
}

/** Which pages may connect; see `WebSocketListenOptions.origins`. */
export type OriginCheck = (origin: string) => boolean;

/** Checks a client's request (RFC 6455 §4.2.1); its key, or why it is refused. */
export function checkRequest(
  { firstLine, fields }: Head,
  mayConnect: OriginCheck,
): { key: string } | HandshakeRefusal {
  const wants = (name: string, token: string) =>
    (fields.get(name) ?? "").toLowerCase().split(",").some((part) => part.trim() === token);
  if (!/^GET \S+ HTTP\/1\.1$/.test(firstLine)) {
    return { status: "400 Bad Request", reason: "this is a WebSocket: send GET with HTTP/1.1" };
  }
  if (!wants("upgrade", "websocket") || !wants("connection", "upgrade")) {
    return {
      status: "426 Upgrade Required",
      reason: "this is a WebSocket: send Upgrade: websocket and Connection: Upgrade",
      fields: ["Upgrade: websocket", "Connection: Upgrade"],
    };
  }
  if (fields.get("sec-websocket-version") !== VERSION) {
    return {
      status: "426 Upgrade Required",
      reason: `this is WebSocket version ${VERSION}`,
      fields: [`Sec-WebSocket-Version: ${VERSION}`],
    };
  }
  const key = fields.get("sec-websocket-key") ?? "";
  if (keyBytes(key) !== KEY_BYTES) {
    return { status: "400 Bad Request", reason: "Sec-WebSocket-Key is not 16 bytes" };
  }
  // Browsers say whose page it is, and let every page connect to everything: also to a daemon on this machine.
  const origin = fields.get("origin");
  if (origin !== undefined && !mayConnect(origin)) {
    return { status: "403 Forbidden", reason: `pages of ${origin} may not connect here` };
  }
  return { key };
}

/** The answer that makes a request a WebSocket (RFC 6455 §4.2.2). */
export async function acceptance(key: string): Promise<string> {
  const accept = await acceptOf(key);
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

/** The answer to a request that is refused. */
export function refusalText({ status, reason, fields = [] }: HandshakeRefusal): string {
  const lines = [
    `HTTP/1.1 ${status}`,
    ...fields,
    "Content-Type: text/plain",
    `Content-Length: ${new TextEncoder().encode(reason).length + 1}`,
    ...fields.some((field) => field.startsWith("Connection:")) ? [] : ["Connection: close"],
  ];
  return `${lines.join("\r\n")}\r\n\r\n${reason}\n`;
}

/** A client's request (RFC 6455 §4.1). */
export function requestText(host: string, path: string, key: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: ${VERSION}\r\n\r\n`;
}

/** A client's key: 16 random bytes. */
export function newKey(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(KEY_BYTES))));
}

/** Throws where an answer does not make the connection a WebSocket (RFC 6455 §4.1); `body` is what came behind it. */
export async function checkAnswer({ firstLine, fields }: Head, key: string, body: Uint8Array): Promise<void> {
  if (!firstLine.startsWith("HTTP/1.1 101")) {
    const isText = fields.get("content-type")?.startsWith("text/plain") ?? false;
    const reason = isText ? `: ${new TextDecoder().decode(body.subarray(0, MAX_REASON_BYTES)).trim()}` : "";
    throw new Error(
      `the server made no WebSocket of it: ${firstLine.slice(0, MAX_REASON_BYTES)}${reason}`,
    );
  }
  if (fields.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new Error("the server upgraded to something else");
  }
  if (fields.get("sec-websocket-accept") !== await acceptOf(key)) {
    throw new Error("the server did not answer our key: something in between answered instead");
  }
  if (fields.has("sec-websocket-extensions")) {
    throw new Error("the server uses an extension that was not asked for");
  }
}

async function acceptOf(key: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(key + ACCEPT_SUFFIX));
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}

function keyBytes(key: string): number {
  try {
    return atob(key).length;
  } catch {
    return 0;
  }
}
