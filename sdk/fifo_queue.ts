import { MsgbusService } from "@msgbus/proto";
import type { CallOptions } from "./call_options.ts";
import { MsgbusError } from "./error.ts";
import { type FifoMessage, fifoMessageOf } from "./fifo_message.ts";
import type { NodeId } from "./node_id.ts";
import { encodePayload, type Payload } from "./payload.ts";
import type { Rpc } from "./rpc.ts";

/** What may be said of a message to enqueue. */
export interface EnqueueOptions extends CallOptions {
  /** What the message is about; the queue's name where absent. */
  readonly topic?: string;
  /** The daemon it is for; the connected one where absent. */
  readonly target?: NodeId;
  /** The daemon it comes from; the connected one where absent. */
  readonly source?: NodeId;
  /** Its headers. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A FIFO queue of the daemon: the front message is peeked at, and then acknowledged or rejected. */
export class FifoQueue {
  /** The queue's name. */
  readonly name: string;
  readonly #rpc: Rpc;

  /** Made by {@linkcode Client.fifo}. */
  constructor(rpc: Rpc, name: string) {
    this.#rpc = rpc;
    this.name = name;
  }

  /** Puts a message at the end; settles when it is durable. Throws MsgbusError, TypeError for a bad payload. */
  async enqueue(payload: Payload, options: EnqueueOptions = {}): Promise<FifoMessage> {
    const encoded = encodePayload(payload, options.headers);
    const { source, target = { tenantId: "", blName: "", deviceId: "" }, topic = this.name } = options;
    const { message } = await this.#rpc.unary(
      MsgbusService.method.enqueueFifo,
      { queue: this.name, topic, target, ...encoded, ...(source && { source }) },
      options,
    );
    return fifoMessageOf(message);
  }

  /** The message in front, which stays there; undefined where the queue is empty. Throws MsgbusError. */
  async peek(options: CallOptions = {}): Promise<FifoMessage | undefined> {
    try {
      const { message } = await this.#rpc.unary(MsgbusService.method.peekFifo, { queue: this.name }, options);
      return fifoMessageOf(message);
    } catch (error) {
      if (error instanceof MsgbusError && error.code === "NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** Removes the message, if it is in front; false, and nothing changed, otherwise. Throws MsgbusError. */
  async ack(message: FifoMessage | string, options: CallOptions = {}): Promise<boolean> {
    const request = { queue: this.name, messageId: idOf(message) };
    return (await this.#rpc.unary(MsgbusService.method.ackFifo, request, options)).accepted;
  }

  /** Keeps the message in front and counts the attempt; false, and nothing changed, where another is there. Throws MsgbusError. */
  async reject(message: FifoMessage | string, options: CallOptions = {}): Promise<boolean> {
    const request = { queue: this.name, messageId: idOf(message) };
    return (await this.#rpc.unary(MsgbusService.method.rejectFifo, request, options)).accepted;
  }
}

function idOf(message: FifoMessage | string): string {
  return typeof message === "string" ? message : message.id;
}
