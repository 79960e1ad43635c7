import { type PeerIdentity, type ServerCall, Status, StatusError } from "@msgbus/grpc/server";
import { AuthorizedBus } from "../bus/authorized_bus.ts";
import type { Bus } from "../bus/bus.ts";
import { Grants } from "../bus/grants.ts";
import type { AuthFile, CertificateEntry, TokenEntry } from "./auth_file.ts";
import { tokenId } from "./token.ts";

/** Somebody who is known, and the bus as they may use it. */
interface Member<Entry extends TokenEntry | CertificateEntry> {
  readonly entry: Entry;
  /** The entry's whole text: who has the same one in the next file goes on undisturbed. */
  readonly key: string;
  readonly bus: AuthorizedBus;
  readonly revoke: () => void;
}

const encoder = new TextEncoder();

/** Finds out who calls, by bearer token or client certificate, and gives them the bus as they may use it. */
export class Authenticator {
  readonly #bus: Bus;
  readonly #sha256: (bytes: Uint8Array) => Uint8Array;
  #tokens: ReadonlyMap<string, Member<TokenEntry>> = new Map();
  #certificates: readonly Member<CertificateEntry>[] = [];

  /** `sha256` is the hash function of that name. */
  constructor(bus: Bus, file: AuthFile, sha256: (bytes: Uint8Array) => Uint8Array) {
    this.#bus = bus;
    this.#sha256 = sha256;
    this.reload(file);
  }

  /** From now on this file counts. Subscriptions of those who are no longer in it, or with other rights, end. */
  reload(file: AuthFile): void {
    const before = [...this.#tokens.values(), ...this.#certificates];
    const kept = new Map(before.map((member) => [member.key, member]));
    const member = <Entry extends TokenEntry | CertificateEntry>(entry: Entry): Member<Entry> => {
      const key = JSON.stringify(entry);
      const same = kept.get(key);
      kept.delete(key);
      if (same !== undefined) return { entry, key, bus: same.bus, revoke: same.revoke };
      const revoked = new AbortController();
      const bus = new AuthorizedBus(this.#bus, `"${entry.name}"`, new Grants(entry.allow), revoked.signal);
      return { entry, key, bus, revoke: () => revoked.abort(rightsChanged()) };
    };
    this.#tokens = new Map(file.tokens.map((entry) => [entry.id, member(entry)]));
    this.#certificates = file.certificates.map((entry) => member(entry));
    for (const { revoke } of kept.values()) revoke();
  }

  /** The bus as the caller may use it. Throws UNAUTHENTICATED. A token counts before a certificate. */
  busOf(call: ServerCall): AuthorizedBus {
    const headers = call.metadata.getAll("authorization");
    if (headers.length === 0) return this.#byCertificate(call.identity);
    const [header] = headers;
    if (headers.length > 1 || typeof header !== "string") {
      throw unauthenticated("it has several tokens; send one");
    }
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (token === undefined) {
      throw unauthenticated(`its header is of another form; send "authorization: Bearer TOKEN"`);
    }
    const member = this.#tokens.get(tokenId(token) ?? "");
    const hash = this.#sha256(encoder.encode(token)).toHex();
    if (member === undefined || !equalInConstantTime(hash, member.entry.sha256)) {
      throw unauthenticated("its token is not known; ask for a new one");
    }
    return member.bus;
  }

  #byCertificate(identity: PeerIdentity | undefined): AuthorizedBus {
    if (identity === undefined) {
      throw unauthenticated(`it has no token; send "authorization: Bearer TOKEN"`);
    }
    const member = this.#certificates.find(({ entry }) => isMeant(entry, identity));
    if (member === undefined) {
      const { fingerprint } = identity;
      throw unauthenticated(
        `its certificate is not known here: sha256 ${fingerprint}; have it added, or send a token`,
      );
    }
    return member.bus;
  }
}

/** Whether everything that the entry says of the certificate is so. */
function isMeant(entry: CertificateEntry, { fingerprint, commonName, names }: PeerIdentity): boolean {
  return (entry.fingerprint === undefined || entry.fingerprint === fingerprint) &&
    (entry.commonName === undefined || entry.commonName === commonName) &&
    (entry.subjectAltName === undefined || names.some(({ value }) => value === entry.subjectAltName));
}

/** Compares without telling by its time how much is equal. */
function equalInConstantTime(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

/** What a stream ends with whose owner lost rights: asking again tells what is left of them. */
function rightsChanged(): StatusError {
  return new StatusError(Status.UNAVAILABLE, "the rights of this client have changed: connect again");
}

function unauthenticated(state: string): StatusError {
  return new StatusError(Status.UNAUTHENTICATED, `Cannot tell who calls: ${state}`);
}
