import type { BusErrorCode } from "../../daemon/bus/error.ts";
import { encodeHeaders } from "../../daemon/bus/headers.ts";
import { DELETE_TOPIC } from "../../daemon/bus/names.ts";
import type { BatchMessage, PublishOutcome } from "../../daemon/bus/requests.ts";
import { MESSAGE_BYTES } from "./node.ts";
import type { Random } from "./random.ts";

const MAX_MESSAGES = 20;

const encoder = new TextEncoder();

/** A message of a batch, and what must become of it. */
interface Entry {
  readonly message: BatchMessage;
  readonly text: string;
  /** Undefined: it is stored. */
  readonly refusal: BusErrorCode | undefined;
}

/** A message of a batch that was stored. */
export interface StoredEntry {
  readonly topic: string;
  readonly text: string;
  readonly headId: number;
  readonly id: string;
}

/** A batch of messages, some of which can't be published. */
export class Batch {
  readonly #entries: readonly Entry[];

  /** Draws one over some of the topics. */
  constructor(topics: readonly string[], random: Random, nextText: () => string) {
    this.#entries = Array.from(
      { length: 1 + random.below(MAX_MESSAGES) },
      () => drawEntry(random.pick(topics), random, nextText()),
    );
  }

  get messages(): BatchMessage[] {
    return this.#entries.map(({ message }) => message);
  }

  /** Changes the bytes of all messages, as a connection does that reads the next ones into the same memory. */
  scribble(): void {
    for (const { message: { payload, headers } } of this.#entries) {
      payload.fill(0xff);
      headers.fill(0xff);
    }
  }

  /** What the outcomes say is stored; `fail` hears of what they should not say. */
  stored(outcomes: readonly PublishOutcome[], fail: (what: string) => void): StoredEntry[] {
    const stored: StoredEntry[] = [];
    const heads = new Map<string, number>();
    let next = 0;
    for (const outcome of outcomes) {
      if (outcome.at !== next) fail(`the outcome of message ${next} of a batch is that of ${outcome.at}`);
      next = outcome.at + outcome.count;
      this.#entries.slice(outcome.at, next).forEach(({ message: { topic }, text, refusal }, n) => {
        const said = outcome.kind === "refused" ? outcome.error.code : undefined;
        if (said !== refusal) {
          fail(`"${text}" of a batch: ${said ?? "stored"} instead of ${refusal ?? "stored"}`);
        }
        if (outcome.kind === "refused") return;
        const headId = outcome.headId + n;
        // One append: nothing comes between messages of one topic.
        if (headId !== (heads.get(topic) ?? headId - 1) + 1) fail(`"${text}" of a batch has head ${headId}`);
        heads.set(topic, headId);
        stored.push({ topic, text, headId, id: outcome.uuid.plus(n).text });
      });
    }
    if (next !== this.#entries.length) {
      fail(`${next} of ${this.#entries.length} messages of a batch have outcomes`);
    }
    return stored;
  }
}

function drawEntry(topic: string, random: Random, text: string): Entry {
  const headers = random.chance(0.3) ? encodeHeaders({ number: text }) : new Uint8Array();
  const message = { topic, payload: encoder.encode(text), headers };
  if (random.chance(0.9)) return { message, text, refusal: undefined };
  return random.pick<Entry>([
    { message: { ...message, topic: "" }, text, refusal: "invalid_argument" },
    { message: { ...message, topic: DELETE_TOPIC }, text, refusal: "permission_denied" },
    {
      message: { ...message, payload: new Uint8Array(MESSAGE_BYTES + 1) },
      text,
      refusal: "resource_exhausted",
    },
  ]);
}
