/** grpcurl, which knows nothing of msgbus but what the daemon tells it. */
import assert from "node:assert/strict";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";

async function grpcurl(...args: readonly string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command("grpcurl", { args: ["-plaintext", ...args] })
    .output();
  const decoder = new TextDecoder();
  return { code, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function installed(): Promise<boolean> {
  try {
    return (await grpcurl("-version")).code === 0;
  } catch {
    console.log(
      "skipped: grpcurl is not there; go install github.com/fullstorydev/grpcurl/cmd/grpcurl@latest",
    );
    return false;
  }
}

Deno.test("grpcurl lists, describes and calls the daemon without schema files", async () => {
  if (!await installed()) return;
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start(["--data", `${folder.path}/bus.sqlite`]);
  const { address } = daemon;
  assert.match(
    (await grpcurl(address, "list")).text,
    /^grpc\.health\.v1\.Health$[\s\S]*^msgbus\.v1\.MsgbusService$/m,
  );
  const sync = await grpcurl(address, "describe", "msgbus.v1.SyncService.Sync");
  assert.match(sync.text, /rpc Sync \( stream \.msgbus\.v1\.SyncRequest \)/);
  const described = await grpcurl(address, "describe", "msgbus.v1.MsgbusService.Publish");
  assert.match(described.text, /rpc Publish \( \.msgbus\.v1\.PublishRequest \)/);
  const published = await grpcurl(
    "-d",
    `{"topic":"a","payload":"aGk="}`,
    address,
    "msgbus.v1.MsgbusService/Publish",
  );
  assert.match(published.text, /"headId": "1"/);
  const refused = await grpcurl("-d", `{"topic":""}`, address, "msgbus.v1.MsgbusService/Publish");
  assert.match(refused.text, /Code: InvalidArgument[\s\S]*google\.rpc\.BadRequest[\s\S]*"field": "topic"/);
  assert.match((await grpcurl(address, "grpc.health.v1.Health/Check")).text, /"status": "SERVING"/);
  const streams = await grpcurl(address, "describe", "msgbus.v1.StreamService");
  assert.match(streams.text, /rpc Consume \( stream \.msgbus\.v1\.ConsumeRequest \)/);
  const credit = `"credit":{"messages":"1","bytes":"1"}`;
  const consumed = await grpcurl(
    "-d",
    `{"start":{"patterns":[">"]},${credit}}`,
    address,
    "msgbus.v1.StreamService/Consume",
  );
  assert.match(consumed.text, /"topic": "a"[\s\S]*"payload": "aGk="/);
  assert.equal(consumed.code, 0, "the call ends where the credit of the only request is used up");
  const unknown = await grpcurl("-d", `{"service":"x"}`, address, "grpc.health.v1.Health/Check");
  assert.match(unknown.text, /Code: NotFound/);
  assert.equal(await daemon.stop(), 0, daemon.log);
});
