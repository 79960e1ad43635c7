/**
 * What `tls_test.ts` runs under Node: "sdk" publishes with the SDK and reports the head or the error, "pinned" so too, with
 * the server's fingerprint for the authority, "grpc-js" asks for
 * Ready with @grpc/grpc-js, "resume" makes a session with a certificate and, when a line comes in, resumes it without.
 */
import * as grpc from "@grpc/grpc-js";
import { connect, MsgbusError, type TlsClientOptions } from "@msgbus/sdk";
import { readFileSync } from "node:fs";
import process from "node:process";
import tls from "node:tls";

/** `trust` is the authority's file, or the fingerprint. */
const [mode = "", port = "", trust = "", cert, key] = process.argv.slice(2);
const own = {
  ...(cert && { cert: readFileSync(cert, "utf8") }),
  ...(key && { key: readFileSync(key, "utf8") }),
};

function withAuthority() {
  return { ...own, ca: readFileSync(trust, "utf8") };
}

function tell(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function publish(tls: TlsClientOptions): Promise<void> {
  for (const host of ["localhost", "127.0.0.1"]) {
    const bus = connect(`https://${host}:${port}`, { tls });
    try {
      tell((await bus.publish("t", "from node")).headId);
    } catch (error) {
      tell(error instanceof MsgbusError ? `${error.code} ${error.message}` : String(error));
    }
    await bus.close();
  }
}

const MODES: Readonly<Record<string, () => Promise<void>>> = {
  sdk: () => publish(withAuthority()),
  pinned: () => publish({ ...own, fingerprints: [trust] }),

  async "grpc-js"() {
    const pem = withAuthority();
    const optional = (text: string | undefined) => text === undefined ? null : Buffer.from(text);
    const credentials = grpc.credentials.createSsl(
      Buffer.from(pem.ca),
      optional(pem.key),
      optional(pem.cert),
    );
    const client = new grpc.Client(`localhost:${port}`, credentials);
    const bytes = (buffer: Buffer) => buffer;
    await new Promise<void>((resolve) => {
      client.makeUnaryRequest(
        "/msgbus.v1.MsgbusService/Ready",
        bytes,
        bytes,
        Buffer.alloc(0),
        (error, answer) => {
          tell(error === null ? answer?.includes("READY") : `${grpc.status[error.code]} ${error.details}`);
          resolve();
        },
      );
    });
    client.close();
  },

  async resume() {
    const pem = withAuthority();
    const session = await new Promise<Buffer>((resolve) => {
      const socket = open(pem);
      socket.on("session", (ticket) => {
        socket.destroy();
        resolve(ticket);
      });
    });
    tell("session");
    for await (const _ of process.stdin) {
      await new Promise<void>((resolve) => {
        const socket = open({ ca: pem.ca, session });
        socket.on("secureConnect", () => tell(socket.isSessionReused() ? "resumed" : "new"));
        socket.on("data", () => {});
        socket.on("error", () => {});
        socket.on("close", () => resolve());
        socket.setTimeout(500, () => socket.destroy());
      });
      tell("closed");
    }
  },
};

function open(options: tls.ConnectionOptions): tls.TLSSocket {
  return tls.connect({ host: "localhost", port: Number(port), ALPNProtocols: ["h2"], ...options });
}

await MODES[mode]?.();
