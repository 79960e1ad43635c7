import { FIELD_OVERHEAD_BYTES } from "./limits.ts";

/** One header field. Name and value are byte strings: one UTF-16 unit (U+0000 to U+00FF) for each octet. */
export interface HeaderField {
  /** The name, as it is on the wire: case and characters are not checked here. */
  readonly name: string;
  /** The value, as it is on the wire. */
  readonly value: string;
  /**
   * True for a secret such as a token: it is sent as a never-indexed literal, so that neither end nor any
   * relay between them puts it into a table that others could probe (RFC 7541 §6.2.3, §7.1). Default: false.
   */
  readonly sensitive?: boolean;
}

/** Size of a field in octets, as the table and SETTINGS_MAX_HEADER_LIST_SIZE count it: name + value + 32. */
export function fieldBytes(field: HeaderField): number {
  return field.name.length + field.value.length + FIELD_OVERHEAD_BYTES;
}
