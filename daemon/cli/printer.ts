import type { FifoMessage, Message, NodeId } from "@msgbus/sdk";
import type { CliIo } from "./io.ts";
import { payloadLine, payloadText, printable } from "./payload_view.ts";

/** A JSON object for programs; `schema` names its form and version. */
export type JsonRecord = { readonly schema: string } & Readonly<Record<string, unknown>>;

/** Writes results: lines for people, or one JSON object per line for programs. */
export class Printer {
  readonly json: boolean;
  readonly #io: CliIo;
  readonly #colour: boolean;
  readonly #topics: boolean;

  /** Colours only what goes to a terminal, and not where NO_COLOR is set (no-color.org). */
  constructor(io: CliIo, json: boolean, topics = false) {
    this.#io = io;
    this.json = json;
    this.#topics = topics;
    this.#colour = io.stdout.isTerminal && (io.env("NO_COLOR") ?? "") === "";
  }

  /** One that prints the topic in front of each message. */
  withTopics(): Printer {
    return new Printer(this.#io, this.json, true);
  }

  /** Prints results: `record` for programs or `text`, which ends with a line break, for people. */
  async print(results: readonly { readonly record: JsonRecord; readonly text: string }[]): Promise<void> {
    const lines = results.map(({ record, text }) => this.json ? `${JSON.stringify(record)}\n` : text);
    if (lines.length > 0) await this.#io.stdout.write(lines.join(""));
  }

  /** Prints records, which people see as one text. */
  async printAll(records: readonly JsonRecord[], text: string): Promise<void> {
    const output = this.json ? records.map((record) => `${JSON.stringify(record)}\n`).join("") : text;
    if (output !== "") await this.#io.stdout.write(output);
  }

  /** Prints messages. */
  async printMessages(messages: readonly Message[]): Promise<void> {
    const lines = messages.map((message) =>
      this.json ? `${JSON.stringify(messageRecord(message))}\n` : this.#messageLine(message)
    );
    if (lines.length > 0) await this.#io.stdout.write(lines.join(""));
  }

  /** Prints a message of a queue. */
  async printFifo(message: FifoMessage): Promise<void> {
    const { sequence, attempts, id } = message;
    const place = this.#dim(`#${sequence}  ${message.createdAt.toISOString()}  ${id}  attempts ${attempts}`);
    await this.print([{
      record: fifoRecord(message),
      text: `${place}  ${payloadLine(message.payload)}${headersSuffix(message.headers)}\n`,
    }]);
  }

  #messageLine(message: Message): string {
    const topic = this.#topics ? `${printable(message.topic)}  ` : "";
    const place = this.#dim(`${topic}#${message.headId}  ${message.createdAt.toISOString()}`);
    const text = message.deleted ? "(deleted)" : payloadLine(message.payload);
    return `${place}  ${text}${headersSuffix(message.headers)}\n`;
  }

  #dim(text: string): string {
    return this.#colour ? `\x1b[2m${text}\x1b[0m` : text;
  }
}

/** A node for people. */
export function nodeText(node: NodeId): string {
  return printable(`${node.tenantId}/${node.blName}/${node.deviceId}`);
}

/** A node for programs. */
export function nodeRecord(node: NodeId) {
  return { tenant_id: node.tenantId, bl_name: node.blName, device_id: node.deviceId };
}

/** Milliseconds since the Unix epoch for people; "never" for 0. */
export function timeText(ms: number): string {
  return ms === 0 ? "never" : new Date(ms).toISOString();
}

function messageRecord(message: Message): JsonRecord {
  return {
    schema: "msgbus.message/1",
    topic: message.topic,
    origin: nodeRecord(message.origin),
    head_id: message.headId,
    id: message.id,
    created_at_ms: message.createdAtMs,
    deleted: message.deleted,
    headers: message.headers,
    ...payloadRecord(message.payload),
  };
}

function fifoRecord(message: FifoMessage): JsonRecord {
  return {
    schema: "msgbus.fifo_message/1",
    queue: message.queue,
    topic: message.topic,
    source: nodeRecord(message.source),
    target: nodeRecord(message.target),
    sequence: message.sequence,
    id: message.id,
    created_at_ms: message.createdAtMs,
    attempts: message.attempts,
    headers: message.headers,
    ...payloadRecord(message.payload),
  };
}

/** `payload_text` is null where the payload is not UTF-8. */
function payloadRecord(payload: Uint8Array) {
  return { payload_base64: payload.toBase64(), payload_text: payloadText(payload) ?? null };
}

function headersSuffix(headers: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(headers).map(([name, value]) => printable(`${name}=${value}`));
  return pairs.length === 0 ? "" : `  [${pairs.join(", ")}]`;
}
