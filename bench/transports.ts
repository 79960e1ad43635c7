import { DaemonProcess } from "../tests/daemon_process.ts";
import { h2loadRate } from "./h2load.ts";
import { available, H2LOAD } from "./programs.ts";
import { median, perSecond, type Row } from "./report.ts";

const ROUNDS = 5;
const CALLS = 100_000;
const IN_FLIGHT = 50;

/** The same unary calls over a unix socket and over TCP, in turn. */
export async function unixAgainstTcp(folder: string, bodyFile: string): Promise<Row[]> {
  if (!await available(H2LOAD, "unix sockets against TCP")) return [];
  const socket = `unix:${folder}/bench.sock`;
  const rates: { unix: number; tcp: number }[] = [];
  await using daemon = await DaemonProcess.start([
    "--storage",
    "memory",
    "--listen",
    "127.0.0.1:0",
    "--listen",
    socket,
  ]);
  const load = { bodyFile, connections: 1, streams: IN_FLIGHT, calls: CALLS };
  const rateOf = (address: string) => h2loadRate({ ...load, address });
  await rateOf(daemon.address); // warms up
  for (let round = 0; round < ROUNDS; round++) {
    rates.push({ unix: await rateOf(socket), tcp: await rateOf(daemon.address) });
  }
  await daemon.stop();
  const ratio = median(rates.map(({ unix, tcp }) => unix / tcp));
  return [{
    what: `unary publish over a unix socket, ${IN_FLIGHT} in flight, memory store`,
    durability: "memory",
    figure: perSecond(median(rates.map(({ unix }) => unix))),
    against: { what: `TCP (${perSecond(median(rates.map(({ tcp }) => tcp)))})`, ratio },
    target: { text: "1.1 ×", met: ratio >= 1.1 },
  }];
}
