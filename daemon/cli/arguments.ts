import type { NodeId } from "@msgbus/sdk";
import { InvalidArgumentError } from "commander";

/** Reads a head: a whole number from 1 on. */
export function headArgument(text: string): number {
  return countArgument(text);
}

/** Reads a count: a whole number from 1 on. */
export function countArgument(text: string): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && Number.isSafeInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError("Give a whole number from 1 on.");
}

/** Reads a head, or "now". */
export function headOrNowArgument(text: string): number | "now" {
  return text === "now" ? text : headArgument(text);
}

/** Reads milliseconds that a timer can wait. */
export function timeoutArgument(text: string): number {
  const value = Number(text);
  if (/^[0-9]+$/.test(text) && value >= 1 && value <= 0x7fff_ffff) return value;
  throw new InvalidArgumentError("Give milliseconds from 1 to 2147483647.");
}

/** Reads a node as `tenant/bl/device`. */
export function nodeArgument(text: string): NodeId {
  const [tenantId = "", blName = "", deviceId = "", ...more] = text.split("/");
  if (tenantId !== "" && blName !== "" && deviceId !== "" && more.length === 0) {
    return { tenantId, blName, deviceId };
  }
  throw new InvalidArgumentError("Give tenant/bl/device.");
}

/** Adds a node as `tenant/bl/device` to those before it. */
export function nodesArgument(text: string, before: readonly NodeId[] = []): readonly NodeId[] {
  return [...before, nodeArgument(text)];
}

/** Adds a header `name=value` to those before it. */
export function headerArgument(text: string, before: Readonly<Record<string, string>> = {}) {
  const cut = text.indexOf("=");
  if (cut < 1) throw new InvalidArgumentError("Give name=value.");
  return { ...before, [text.slice(0, cut)]: text.slice(cut + 1) };
}
