/** What `transports_test.ts` runs as a browser would: no Deno, no Node, only the platform's WebSocket. */
import { connect } from "@msgbus/sdk";

interface Page {
  readonly target: string;
  done(result: unknown): void;
}

const page = (globalThis as unknown as { readonly page: Page }).page;

const bus = connect(page.target);
const texts: string[] = [];
const following = (async () => {
  for await (const message of bus.subscribe("t", { from: 1 })) {
    texts.push(`${message.headId}:${message.payload.length}`);
    if (texts.length === 2) break;
  }
})();
await bus.publish("t", "hello");
await bus.publish("t", "x".repeat(1_000_000));
await following;
let refused = "";
try {
  connect("127.0.0.1:50051");
} catch (error) {
  refused = String(error);
}
await bus.close();
page.done({ texts, refused });
