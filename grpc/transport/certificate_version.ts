import { DerError, derValues } from "./der_reader.ts";

/** The explicit tag of a certificate's version, which is absent in version 1 (RFC 5280, 4.1). */
const VERSION = 0xa0;
/** An INTEGER: version 3 is written as 2. */
const VERSION_3 = [0x02, 0x01, 0x02];
const NOTHING = new Uint8Array();

/** Whether a certificate (DER) is of X.509 version 3, as TLS demands (RFC 8446, 4.4.2.2). */
export function isVersion3(certificate: Uint8Array): boolean {
  try {
    const [whole] = derValues(certificate);
    const [body] = derValues(whole?.content ?? NOTHING);
    const [version] = derValues(body?.content ?? NOTHING);
    return version?.tag === VERSION && version.content.length === VERSION_3.length &&
      VERSION_3.every((octet, at) => octet === version.content[at]);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}
