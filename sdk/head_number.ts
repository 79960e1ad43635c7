import { MsgbusError } from "./error.ts";

/** A head for the wire. Throws RangeError unless it is a whole number from 1 on. */
export function headToWire(value: number, name: string): bigint {
  if (Number.isSafeInteger(value) && value >= 1) return BigInt(value);
  throw new RangeError(`Cannot use ${name} ${value}: heads are whole numbers from 1 on`);
}

/** A number of the wire. Throws MsgbusError INTERNAL for one that no daemon can mean. */
export function numberFromWire(value: bigint): number {
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
  throw new MsgbusError("INTERNAL", `Cannot read the daemon's answer: ${value} is beyond every counter`);
}
