/** What a target looks like, for error texts. */
const TARGET_FORMS =
  "host:port, [v6]:port, http://host:port, https://host:port, ws://host, wss://host, quic://host:port or unix:/path";

/** The error for a target that can't be used. */
export function targetError(target: string, why: string): TypeError {
  return new TypeError(`Cannot connect to ${JSON.stringify(target)}: ${why}; give ${TARGET_FORMS}`);
}
