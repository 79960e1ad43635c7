import type { ByteStream, Connect } from "./byte_stream.ts";
import type { PeerIdentity } from "./peer_identity.ts";
import { PlainClientStream } from "./plain_client_stream.ts";
import { formatTcpAddress, type TcpAddress } from "./tcp.ts";

/** The part of a socket of node:net that is used here; named here so that the package needs no types of Node. */
export interface NodeSocket {
  on(event: "data", listener: (bytes: Uint8Array) => void): unknown;
  on(event: "end" | "close" | "connect", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  pause(): unknown;
  resume(): unknown;
  write(bytes: Uint8Array, done: (error?: Error | null) => void): boolean;
  end(done: () => void): unknown;
  destroy(): unknown;
  setNoDelay(on: boolean): unknown;
}

/** Unread bytes after which the socket is paused. */
const MAX_UNREAD_BYTES = 262_144;

/** What a stream over a socket of node:net may be told beside it. */
export interface NodeByteStreamOptions {
  /** Who is at the other end, where a certificate says so. */
  readonly identity?: PeerIdentity | undefined;
  /** The error to report for one of the socket, or, where `silent`, for an end before a byte came. */
  readonly explain?: (error: Error | undefined, silent: boolean) => Error | undefined;
}

/** A socket of node:net, or of node:tls, as a byte stream. */
export class NodeByteStream implements ByteStream {
  readonly peer: string;
  readonly identity: PeerIdentity | undefined;
  readonly #socket: NodeSocket;
  readonly #explain: (error: Error | undefined, silent: boolean) => Error | undefined;
  readonly #unread: Uint8Array[] = [];
  readonly #rejectWrites: (() => void)[] = [];
  #unreadBytes = 0;
  #end: { readonly error: Error | undefined } | undefined;
  #endWasRead = false;
  #closed = false;
  #silent = true;
  #wake: (() => void) | undefined;

  /** Wraps an open socket. */
  constructor(socket: NodeSocket, peer: string, options: NodeByteStreamOptions = {}) {
    this.peer = peer;
    this.identity = options.identity;
    this.#explain = options.explain ?? ((error) => error);
    this.#socket = socket;
    socket.on("data", (bytes) => {
      this.#silent = false;
      // Node hands out a Buffer, whose slice() shares memory where that of Uint8Array copies.
      this.#unread.push(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
      this.#unreadBytes += bytes.length;
      if (this.#unreadBytes >= MAX_UNREAD_BYTES) socket.pause();
      this.#wake?.();
    });
    socket.on("end", () => this.#ended(undefined));
    socket.on("close", () => this.#ended(undefined));
    socket.on("error", (error) => this.#ended(error));
  }

  /** Reads as {@linkcode ByteStream.read} says. */
  async read(): Promise<Uint8Array | null> {
    while (this.#unread.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const bytes = this.#closed ? undefined : this.#unread.shift();
    if (bytes === undefined) {
      this.#tellWriters();
      if (this.#end?.error !== undefined) throw this.#end.error;
      return null;
    }
    this.#unreadBytes -= bytes.length;
    if (this.#unreadBytes < MAX_UNREAD_BYTES) this.#socket.resume();
    return bytes;
  }

  /** Writes as {@linkcode ByteStream.write} says. */
  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        if (!error) return resolve();
        // What the other end said before it went is still to be read: who heard of the write first would close.
        if (this.#endWasRead) return reject(error);
        this.#rejectWrites.push(() => reject(error));
      });
    });
  }

  /** Ends our direction. */
  closeWrite(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.end(resolve);
    });
  }

  /** Ends both directions. */
  close(): void {
    this.#closed = true;
    this.#silent = false;
    this.#socket.destroy();
    this.#ended(undefined);
    this.#tellWriters();
  }

  #ended(error: Error | undefined): void {
    this.#end ??= {
      error: error !== undefined || this.#silent ? this.#explain(error, this.#silent) : undefined,
    };
    this.#wake?.();
  }

  #tellWriters(): void {
    this.#endWasRead = true;
    for (const reject of this.#rejectWrites.splice(0)) reject();
  }
}

/** Connects to a TCP address through node:net: for Node and Bun. */
export function connectTcpOverNode(address: TcpAddress): Connect {
  const target = { host: address.hostname, port: address.port };
  const peer = `tcp:${formatTcpAddress(address)}`;
  return async (signal) => new PlainClientStream(await connectSocket(target, peer, signal));
}

/** Connects to a unix socket through node:net: for Node and Bun. */
export function connectUnixOverNode(path: string): Connect {
  return (signal) => connectSocket({ path }, `unix:${path}`, signal);
}

async function connectSocket(
  target: { readonly host: string; readonly port: number } | { readonly path: string },
  peer: string,
  signal: AbortSignal | undefined,
): Promise<ByteStream> {
  const { connect } = await import("node:net");
  return await new Promise((resolve, reject) => {
    const socket: NodeSocket = connect(target);
    const abort = () => {
      socket.destroy();
      reject(new Error(`Cannot connect to ${peer}: the attempt was ended`));
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort, { once: true });
    socket.on("error", reject);
    socket.on("connect", () => {
      signal?.removeEventListener("abort", abort);
      socket.setNoDelay(true);
      resolve(new NodeByteStream(socket, peer));
    });
  });
}
