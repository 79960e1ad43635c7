import { create, toBinary } from "@bufbuild/protobuf";
import { PublishRequestSchema } from "@msgbus/proto";
import { output } from "./programs.ts";

/** The path of the call that is measured. */
export const PUBLISH_PATH = "/msgbus.v1.MsgbusService/Publish";

/** A framed PublishRequest with a payload of `payloadBytes`. */
export function publishBody(payloadBytes: number): Uint8Array {
  const payload = crypto.getRandomValues(new Uint8Array(payloadBytes));
  const message = toBinary(PublishRequestSchema, create(PublishRequestSchema, { topic: "bench", payload }));
  const body = new Uint8Array(5 + message.length);
  new DataView(body.buffer).setUint32(1, message.length);
  body.set(message, 5);
  return body;
}

/** How a load is put on. */
export interface Load {
  /** "host:port", "https://host:port" for TLS (the certificate is not looked at), or "unix:/path". */
  readonly address: string;
  /** A file with the framed request. */
  readonly bodyFile: string;
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly streams: number;
  readonly calls: number;
}

/** Calls a second that h2load gets through, all of them answered with HTTP status 200. */
export async function h2loadRate({ address, bodyFile, connections, streams, calls }: Load): Promise<number> {
  const text = await output("h2load", [
    "--requests",
    String(calls),
    "--clients",
    String(connections),
    "--max-concurrent-streams",
    String(streams),
    "--header",
    "content-type: application/grpc",
    "--header",
    "te: trailers",
    "--data",
    bodyFile,
    ...address.startsWith("unix:")
      ? ["--base-uri", address, `http://localhost${PUBLISH_PATH}`]
      : [`${address.startsWith("https://") ? address : `http://${address}`}${PUBLISH_PATH}`],
  ]);
  const rate = /([\d.]+) req\/s/.exec(text)?.[1];
  const succeeded = / (\d+) succeeded/.exec(text)?.[1];
  if (rate === undefined || Number(succeeded) !== calls) {
    throw new Error(`h2load did not get through: ${text}`);
  }
  return Number(rate);
}
