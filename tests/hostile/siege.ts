import { concat } from "../../grpc/http2/testing/frame_factory.ts";
import { Attacker } from "./attacker.ts";
import { fetchCall } from "./flood.ts";

/** Opens connections that stay below every rate, and hold on to what they get. */
export type Siege = (address: string) => Promise<readonly Attacker[]>;

const LORIS_CONNECTIONS = 1_000;
const CALLS = 1_000;
const OPENED_AT_ONCE = 100;
/** The preface has 24, empty SETTINGS 9 (RFC 9113 §3.4, §6.5). */
const PREFACE_AND_SETTINGS_BYTES = 33;
const LARGEST_WINDOW = 0x7fff_ffff;

function manyCalls({ frames }: Attacker): Uint8Array {
  return concat(...Array.from({ length: CALLS }, (_, index) => fetchCall(frames, 2 * index + 1)));
}

/** The attacks by name. Those that pin memory are closed after the stall timeout: grpc/server_session_test.ts. */
export const SIEGES: Readonly<Record<string, Siege>> = {
  "slow-loris prefaces": async (address) => {
    const attackers: Attacker[] = [];
    while (attackers.length < LORIS_CONNECTIONS) {
      const opened = await Promise.all(
        Array.from({ length: OPENED_AT_ONCE }, () => Attacker.silent(address)),
      );
      // Everybody is somewhere else in the preface.
      for (const [index, attacker] of opened.entries()) {
        await attacker.say(attacker.frames.hello().subarray(0, index % PREFACE_AND_SETTINGS_BYTES));
      }
      attackers.push(...opened);
    }
    return attackers;
  },
  "a window that never opens": async (address) => {
    const attacker = await Attacker.hello(address, { settings: [[0x4, 0]] });
    await attacker.say(manyCalls(attacker));
    return [attacker];
  },
  "open windows, and a socket that is never read (CVE-2019-9517)": async (address) => {
    const attacker = await Attacker.hello(address, { settings: [[0x4, LARGEST_WINDOW]], reads: false });
    await attacker.say(attacker.frames.windowUpdate(0, LARGEST_WINDOW - 65_535));
    await attacker.say(manyCalls(attacker));
    return [attacker];
  },
};
