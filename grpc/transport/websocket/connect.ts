import type { Connect } from "../byte_stream.ts";
import { checkAnswer, newKey, requestText } from "./handshake.ts";
import { readHead } from "./listen.ts";
import { WebSocketByteStream } from "./websocket_stream.ts";

/** Makes a WebSocket (RFC 6455) of every connection that `connect` opens. `host` is what the server is called. */
export function connectWebSocket(connect: Connect, host: string, path = "/"): Connect {
  return async (signal) => {
    const stream = await connect(signal);
    const cancel = () => stream.close();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      const key = newKey();
      await stream.write(new TextEncoder().encode(requestText(host, path, key)));
      const answer = await readHead(stream);
      signal?.throwIfAborted();
      if (answer?.head === undefined) throw new Error("the server ended the WebSocket's handshake");
      await checkAnswer(answer.head, key, answer.rest);
      return new WebSocketByteStream(stream, "client", answer.rest);
    } catch (error) {
      stream.close();
      throw signal?.aborted === true ? signal.reason : error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  };
}
