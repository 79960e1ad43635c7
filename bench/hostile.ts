import { connect } from "@msgbus/sdk";
import { DaemonProcess } from "../tests/daemon_process.ts";
import { Bystander, quantile } from "../tests/hostile/bystander.ts";
import { FLOODS, STORED_TOPIC } from "../tests/hostile/flood.ts";
import type { FloodOrder } from "../tests/hostile/flood_worker.ts";
import type { Row } from "./report.ts";

const WARM_UP_MESSAGES = 20_000;
const QUIET_MS = 5_000;
const ATTACK_MS = 2_000;
const MAX_RATIO = 3;

/**
 * How long an honest client waits for its acknowledgements while each attack runs: for its count, and again and again, as
 * fast as the attacker can begin anew, which is judged by nobody.
 */
export async function hostile(dataFile: string): Promise<Row[]> {
  await using daemon = await DaemonProcess.start(["--data", dataFile]);
  {
    await using client = connect(daemon.address);
    for (let sent = 0; sent < WARM_UP_MESSAGES; sent += 100) {
      await Promise.all(Array.from({ length: 100 }, () => client.publish(STORED_TOPIC, new Uint8Array(100))));
    }
  }
  await using bystander = Bystander.start(daemon.address);
  bystander.takeLatencies();
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  const quietMs = quantile(bystander.takeLatencies(), 0.99);
  const rows: Row[] = [];
  for (const name of Object.keys(FLOODS)) {
    const begin = performance.now();
    await floodFor({ address: daemon.address, name, ms: 0 });
    // An attack may be over in no time: too few publishes would meet it to say what one in a hundred waits.
    const left = ATTACK_MS - (performance.now() - begin);
    if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
    const p99Ms = quantile(bystander.takeLatencies(), 0.99);
    const ratio = p99Ms / quietMs;
    const connections = await floodFor({ address: daemon.address, name, ms: ATTACK_MS });
    const againMs = quantile(bystander.takeLatencies(), 0.99);
    const again = `again and again, ${connections} connections in ${ATTACK_MS / 1_000} s: ${
      (againMs / quietMs).toFixed(1)
    } ×`;
    rows.push({
      what: `p99 of another client's publish under ${name} (${again})`,
      durability: "group commit",
      figure: `${p99Ms.toFixed(1)} ms`,
      against: { what: `without an attack (${quietMs.toFixed(1)} ms)`, ratio },
      target: { text: `${MAX_RATIO} ×`, met: ratio < MAX_RATIO },
    });
  }
  await bystander.finish();
  await daemon.stop();
  return rows;
}

async function floodFor(order: FloodOrder): Promise<number> {
  const worker = new Worker(new URL("../tests/hostile/flood_worker.ts", import.meta.url), { type: "module" });
  try {
    return await new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(`the attack failed: ${message}`));
      worker.postMessage(order);
    });
  } finally {
    worker.terminate();
  }
}
