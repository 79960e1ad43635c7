import type { Bus } from "../bus/bus.ts";
import { formatNode } from "../bus/names.ts";
import { PeerError, type PeerIdentity, type PeerLink } from "./peer_link.ts";

/** Bytes of a question. */
export const NONCE_BYTES = 32;
const encoder = new TextEncoder();

/**
 * A secret that the daemons of a network share. Who knows it can prove so without telling it; each proof is for one
 * question, one node and one address, so that nobody can pass it on as his own. It keeps strangers out; somebody who can change what is on the wire is kept out by TLS alone.
 */
export class SharedSecret {
  readonly #key: CryptoKey;

  private constructor(key: CryptoKey) {
    this.#key = key;
  }

  static async of(secret: string): Promise<SharedSecret> {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const bytes = encoder.encode(secret);
    return new SharedSecret(
      await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign", "verify"]),
    );
  }

  /** The answer of this daemon, at its address, to a question. */
  async prove(
    { node, incarnation }: Pick<Bus, "node" | "incarnation">,
    address: string,
    nonce: Uint8Array,
  ): Promise<Uint8Array> {
    return new Uint8Array(
      await crypto.subtle.sign("HMAC", this.#key, statement({ node, incarnation }, address, nonce)),
    );
  }

  /** Asks the peer at an address. Rejects with PeerError when it does not know the secret. */
  async demand(link: Pick<PeerLink, "prove">, identity: PeerIdentity, address: string): Promise<void> {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const proof = new Uint8Array(await link.prove(nonce, address));
    if (await crypto.subtle.verify("HMAC", this.#key, proof, statement(identity, address, nonce))) return;
    throw new PeerError(
      "refused",
      `the daemon that says that it is ${
        formatNode(identity.node)
      } does not know the secret of --discover-secret-file`,
    );
  }
}

function statement(
  { node, incarnation }: PeerIdentity,
  address: string,
  nonce: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const texts = ["msgbus peer", node.tenantId, node.blName, node.deviceId, incarnation, address];
  const said = encoder.encode(texts.map((text) => `${text}\0`).join(""));
  const whole = new Uint8Array(said.length + nonce.length);
  whole.set(said);
  whole.set(nonce, said.length);
  return whole;
}
