import { CLI_LIMITS } from "./limits.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The payload as text; undefined where it is not UTF-8. */
export function payloadText(payload: Uint8Array): string | undefined {
  try {
    return strict.decode(payload);
  } catch {
    // Not UTF-8: there is no text.
    return undefined;
  }
}

/** The payload on one line for people: text with its control characters escaped, or size and first bytes in hex. */
export function payloadLine(payload: Uint8Array): string {
  const text = payloadText(payload);
  if (text !== undefined) return printable(text);
  const hex = Array.from(
    payload.subarray(0, CLI_LIMITS.shownBytes),
    (octet) => octet.toString(16).padStart(2, "0"),
  );
  return `(${payload.length} bytes) ${hex.join("")}${payload.length > CLI_LIMITS.shownBytes ? "…" : ""}`;
}

/** Text that does to a terminal nothing but appear: what others wrote must not move its cursor or name its window. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (char) => {
    if (char === "\n") return "\\n";
    if (char === "\t") return "\\t";
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
