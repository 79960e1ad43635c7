/** The SDK on Node and Bun, bundled into one file, against a daemon that restarts meanwhile. */
import { connect } from "@msgbus/sdk";
import assert from "node:assert/strict";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";
import { ALL_INTERPRETERS, type Interpreter, isInstalled } from "./interpreters.ts";

async function bundleScript(folder: string): Promise<string> {
  const output = `${folder}/script.mjs`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--output", output, new URL("sdk_node_script.ts", import.meta.url).pathname],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return output;
}

/** The lines of a stream, one by one. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<unknown> {
  let rest = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

async function runsUnchanged(interpreter: Interpreter): Promise<void> {
  await using folder = await TempFolder.make();
  const script = await bundleScript(folder.path);
  const unix = `unix:${folder.path}/msgbus.sock`;
  const flags = ["--data", `${folder.path}/msgbus.sqlite`, "--listen", "127.0.0.1:0", "--listen", unix];
  const first = await DaemonProcess.start(flags);
  const child = new Deno.Command(interpreter, {
    args: [script, first.address, unix],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = linesOf(child.stdout);
  const line = async () => (await lines.next()).value;
  assert.deepEqual(await line(), {
    headId: 1,
    json: { from: "node" },
    headers: { a: "b", "content-type": "application/json" },
  });
  assert.deepEqual(await line(), [true, true, 1]);
  assert.deepEqual(await line(), [[1, 15], [2, 2], [3, 1_000_000]]);
  assert.deepEqual(await line(), ["work", true, true]);
  assert.equal(await line(), "PERMISSION_DENIED");
  for (const headId of [1, 2, 3]) assert.deepEqual(await line(), { headId, reconnected: false });
  assert.equal(await first.stop(), 0);
  await using second = await DaemonProcess.start(flags);
  await using client = connect(second.address);
  await client.publish("orders", "four");
  await client.publish("orders", "five");
  for (const headId of [4, 5]) assert.deepEqual(await line(), { headId, reconnected: true });
  assert.equal(await line(), undefined);
  assert.equal((await child.status).code, 0);
}

for (const interpreter of ALL_INTERPRETERS) {
  Deno.test(`the SDK runs on ${interpreter}: publish, replay, queue, errors, and a subscription over a restart of the daemon`, async () => {
    if (await isInstalled(interpreter)) await runsUnchanged(interpreter);
  });
}
