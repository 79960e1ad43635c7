import { DaemonProcess } from "../tests/daemon_process.ts";
import { h2loadRate } from "./h2load.ts";
import { available, H2LOAD } from "./programs.ts";
import { median, perSecond, type Row } from "./report.ts";

const ROUNDS = 5;

/** How calls are in flight, and how many are made. */
const SHAPES = [
  { what: "one in flight", connections: 1, streams: 1, calls: 10_000 },
  { what: "50 connections with 1 call in flight each", connections: 50, streams: 1, calls: 50_000 },
  { what: "1 connection with 50 calls in flight", connections: 1, streams: 50, calls: 100_000 },
] as const;

/** The same unary calls over a unix socket and over TCP, in turn. */
export async function unixAgainstTcp(folder: string, bodyFile: string): Promise<Row[]> {
  if (!await available(H2LOAD, "unix sockets against TCP")) return [];
  const socket = `unix:${folder}/bench.sock`;
  await using daemon = await DaemonProcess.start([
    "--storage",
    "memory",
    "--listen",
    "127.0.0.1:0",
    "--listen",
    socket,
  ]);
  const rows: Row[] = [];
  for (const { what, ...shape } of SHAPES.toReversed()) { // the one that warms up best comes first
    const rates: { unix: number; tcp: number }[] = [];
    const rateOf = (address: string) => h2loadRate({ ...shape, bodyFile, address });
    await rateOf(daemon.address);
    for (let round = 0; round < ROUNDS; round++) {
      rates.push({ unix: await rateOf(socket), tcp: await rateOf(daemon.address) });
    }
    const ratio = median(rates.map(({ unix, tcp }) => unix / tcp));
    rows.unshift({
      what: `unary publish over a unix socket, ${what}, memory store`,
      durability: "memory",
      figure: perSecond(median(rates.map(({ unix }) => unix))),
      against: { what: `TCP (${perSecond(median(rates.map(({ tcp }) => tcp)))})`, ratio },
      target: { text: "1.1 ×", met: ratio >= 1.1 },
    });
  }
  await daemon.stop();
  return rows;
}
