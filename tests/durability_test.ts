/** The order of the system calls: what no crash of a process can show. */
import assert from "node:assert/strict";
import { connect } from "@msgbus/sdk";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";

async function hasStrace(): Promise<boolean> {
  try {
    return (await new Deno.Command("strace", { args: ["-V"] }).output()).success;
  } catch {
    return false;
  }
}

/** Publishes one message at a time under strace; returns per acknowledgement whether a sync preceded it. */
async function syncedBeforeAck(durability: string, publishes: number): Promise<boolean[]> {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start([
    "--data",
    `${folder.path}/bus.sqlite`,
    "--durability",
    durability,
  ]);
  await using client = connect(daemon.address);
  await client.publish("t", "the connection is there");
  const trace = `${folder.path}/trace`;
  const strace = new Deno.Command("strace", {
    args: ["-f", "-p", String(daemon.pid), "-o", trace, "-e", "trace=pwrite64,fdatasync,fsync,sendto,write"],
    stderr: "piped",
    stdout: "null",
  }).spawn();
  // strace says that it has attached before it traces anything.
  const reader = strace.stderr.getReader();
  await reader.read();
  for (let i = 0; i < publishes; i++) await client.publish("t", `message ${i}`);
  strace.kill("SIGINT");
  while (!(await reader.read()).done);
  await strace.status;
  const acks: boolean[] = [];
  let written = false;
  let synced = false;
  for (const line of (await Deno.readTextFile(trace)).split("\n")) {
    if (/pwrite64\(/.test(line)) [written, synced] = [true, false];
    // A call that another thread interrupts in the trace ends in a "resumed" line.
    else if (/(fdatasync|fsync)(\(\d+\)| resumed>\)).*= 0/.test(line)) synced = written;
    else if (/sendto\(/.test(line) && written) {
      acks.push(synced);
      written = false;
    }
  }
  return acks;
}

Deno.test("the acknowledgement of a publish leaves after the sync, and without one only where it was asked for", async () => {
  if (!await hasStrace()) {
    console.log("skipped: needs strace (apt-get install strace)");
    return;
  }
  const full = await syncedBeforeAck("full", 20);
  assert.ok(full.length >= 20, `${full.length} acknowledgements were seen`);
  assert.equal(full.includes(false), false, "an acknowledgement left before the sync");
  const normal = await syncedBeforeAck("normal", 20);
  assert.ok(normal.includes(false), "the test would not see a missing sync");
});
