import type { ByteStream, Connect } from "./byte_stream.ts";
import { formatTcpAddress, type TcpAddress } from "./tcp.ts";

/** The part of a socket of node:net that is used here; named here so that the package needs no types of Node. */
interface NodeSocket {
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

class NodeByteStream implements ByteStream {
  readonly peer: string;
  readonly #socket: NodeSocket;
  readonly #unread: Uint8Array[] = [];
  #unreadBytes = 0;
  #end: { readonly error: Error | undefined } | undefined;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(socket: NodeSocket, peer: string) {
    this.peer = peer;
    this.#socket = socket;
    socket.on("data", (bytes) => {
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

  async read(): Promise<Uint8Array | null> {
    while (this.#unread.length === 0 && this.#end === undefined) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const bytes = this.#closed ? undefined : this.#unread.shift();
    if (bytes === undefined) {
      if (!this.#closed && this.#end?.error !== undefined) throw this.#end.error;
      return null;
    }
    this.#unreadBytes -= bytes.length;
    if (this.#unreadBytes < MAX_UNREAD_BYTES) this.#socket.resume();
    return bytes;
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.end(resolve);
    });
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
    this.#ended(undefined);
  }

  #ended(error: Error | undefined): void {
    this.#end ??= { error };
    this.#wake?.();
  }
}

/** Connects to a TCP address through node:net: for Node and Bun. */
export function connectTcpOverNode(address: TcpAddress): Connect {
  return (signal) =>
    connectSocket({ host: address.hostname, port: address.port }, `tcp:${formatTcpAddress(address)}`, signal);
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
