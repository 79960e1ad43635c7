import type { Client } from "@msgbus/sdk";
import { CliError } from "../error.ts";
import { printable } from "../payload_view.ts";
import type { JsonRecord } from "../printer.ts";
import { BENCH_LIMITS } from "./limits.ts";
import type { BenchTopic } from "./workload.ts";

/** The topics and the queue of one run: empty at first, and emptied at the end. */
export class Topics {
  readonly #client: Client;
  readonly #prefix: string;
  readonly #topics: BenchTopic[] = [];

  /** Names begin with the prefix. */
  constructor(client: Client, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  /** A topic for this run alone. Throws CliError where it has messages: they would be deleted at the end. */
  async open(name: string): Promise<BenchTopic> {
    const topic = { name: `${this.#prefix}.${name}`, head: 0 };
    if (await this.#client.head(topic.name) !== undefined) throw this.#notEmpty("topic", topic.name);
    this.#topics.push(topic);
    return topic;
  }

  /** The topics that have messages; the longest first. */
  published(): readonly BenchTopic[] {
    return this.#topics.filter(({ head }) => head > 0).sort((a, b) => b.head - a.head);
  }

  /** The queue for this run alone. Throws CliError where it has messages. */
  async queue(): Promise<string> {
    const name = `${this.#prefix}.fifo`;
    if (await this.#client.fifo(name).peek() !== undefined) throw this.#notEmpty("queue", name);
    return name;
  }

  /** Deletes what was published, or leaves it, and says so; nothing where there is none. Throws MsgbusError. */
  async finish(keep: boolean): Promise<{ record: JsonRecord; text: string }[]> {
    const topics = this.published();
    if (topics.length === 0) return [];
    let count = 0;
    for (const { name, head } of topics) count += keep ? head : await this.#delete(name, head);
    const names = topics.map(({ name }) => name);
    const what = `${count} messages in ${names.length} topics: ${names.map(printable).join(", ")}`;
    const fate = keep ? "kept" : "deleted";
    return [{
      record: { schema: "msgbus.bench_end/1", topics: names, messages: count, fate },
      text: `${fate} ${what}\n`,
    }];
  }

  async #delete(name: string, head: number): Promise<number> {
    let count = 0;
    for (let from = 1; from <= head; from += BENCH_LIMITS.deletedAtOnce) {
      const to = Math.min(head, from + BENCH_LIMITS.deletedAtOnce - 1);
      count += await this.#client.deleteRange(name, { from, to });
    }
    return count;
  }

  #notEmpty(kind: string, name: string): CliError {
    return new CliError(
      "USAGE",
      `Cannot measure with the ${kind} ${JSON.stringify(name)}: it has messages; give another --topic`,
    );
  }
}
