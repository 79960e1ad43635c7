/**
 * The load on a NATS server, by its own client, as a process beside the bench: only the bench of rivals needs these
 * packages, so they are in no import map, and their lock lies here. `deno run --no-config --lock=deno.lock --frozen -A
 * load.ts PORT WORK…`, where WORK is `publish IN_FLIGHT MESSAGES BYTES`, `fill` of the same, `replay MESSAGES` or
 * `fanout SUBSCRIBERS MESSAGES BYTES`. Prints the rate a second.
 */
import { DeliverPolicy, jetstream, jetstreamManager, StorageType } from "npm:@nats-io/jetstream@3.4.0";
import { connect, createInbox, type NatsConnection } from "npm:@nats-io/transport-node@3.4.0";
import { FanOut, publishInLanes, warmUpOf } from "../rivals/lanes.ts";

const NAME = "bench";
/** Messages that a consumer asks for at once; fewer leave it waiting for the next request. */
const PULL_MESSAGES = 10_000;
const TIMEOUT_MS = 120_000;

/**
 * Publishes as PublishAsync of the Go client does: all acknowledgements come to one inbox, in the order of the messages.
 * `publish()` of the JavaScript client makes a request with a timer of each, which was five times slower with many in
 * flight.
 */
function publisher(connection: NatsConnection, payloadBytes: number): () => Promise<void> {
  const payload = crypto.getRandomValues(new Uint8Array(payloadBytes));
  const inbox = createInbox();
  const waiting: { resolve(): void; reject(error: Error): void }[] = [];
  connection.subscribe(inbox, {
    callback: (error, message) => {
      const text = message.string();
      const acknowledged = error === null && text.includes('"seq"');
      if (acknowledged) waiting.shift()?.resolve();
      else waiting.shift()?.reject(error ?? new Error(`not acknowledged: ${text}`));
    },
  });
  return () => {
    connection.publish(NAME, payload, { reply: inbox });
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
}

async function publish(connection: NatsConnection, inFlight: number, messages: number, payloadBytes: number) {
  const send = publisher(connection, payloadBytes);
  await publishInLanes(warmUpOf(messages), inFlight, send);
  return await publishInLanes(messages, inFlight, send);
}

async function replay(connection: NatsConnection, messages: number): Promise<number> {
  const consumer = await jetstream(connection).consumers.get(NAME);
  const begin = performance.now();
  let count = 0;
  for await (const _ of await consumer.consume({ max_messages: PULL_MESSAGES })) {
    if (++count === messages) break;
  }
  return messages / ((performance.now() - begin) / 1_000);
}

async function fanout(connection: NatsConnection, count: number, messages: number, payloadBytes: number) {
  const { port } = connection.info ?? { port: 0 };
  const subscribers = await Promise.all(
    Array.from({ length: count }, () => connect({ servers: `127.0.0.1:${port}` })),
  );
  const fan = new FanOut(count);
  for (const subscriber of subscribers) {
    const consumer = await jetstream(subscriber).consumers.get(NAME, { deliver_policy: DeliverPolicy.New });
    await consumer.consume({ max_messages: PULL_MESSAGES, callback: () => fan.delivered(1) });
  }
  const send = publisher(connection, payloadBytes);
  await fan.rate(warmUpOf(messages), send);
  const rate = await fan.rate(messages, send);
  await Promise.all(subscribers.map((subscriber) => subscriber.close()));
  return rate;
}

const [port, work, ...numbers] = Deno.args;
const [first = 0, second = 0, third = 0] = numbers.map(Number);
const connection = await connect({ servers: `127.0.0.1:${port}` });
const manager = await jetstreamManager(connection, { timeout: TIMEOUT_MS });
await manager.streams.add({ name: NAME, subjects: [NAME], storage: StorageType.File });
switch (work) {
  case "publish":
    console.log(await publish(connection, first, second, third));
    break;
  case "fill":
    console.log(await publishInLanes(second, first, publisher(connection, third)));
    break;
  case "replay":
    console.log(await replay(connection, first));
    break;
  case "fanout":
    console.log(await fanout(connection, first, second, third));
    break;
  default:
    throw new Error(`there is no work ${work}`);
}
await connection.close();
Deno.exit(0);
