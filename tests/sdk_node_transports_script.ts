/** What `transports_test.ts` runs under Node: publishes over each target, and prints what a subscriber over it got. */
import { connect } from "@msgbus/sdk";
import process from "node:process";

const [ca = "", ...targets] = process.argv.slice(2);

for (const target of targets) {
  const bus = connect(target, /^(https|wss):/.test(target) ? { tls: { ca } } : {});
  const { headId } = await bus.publish("t", `${"x".repeat(300_000)}`);
  for await (const message of bus.subscribe("t", { from: headId })) {
    process.stdout.write(`${target.split(":")[0]} ${message.headId} ${message.payload.length}\n`);
    break;
  }
  await bus.close();
}
