import { X509Certificate } from "node:crypto";
import { CertificateAuthority, type KeyPair } from "../../grpc/transport/testing/certificate_authority.ts";
import type { TempFolder } from "../daemon_process.ts";

const authority = await CertificateAuthority.create();
const server = await authority.issueLocal();
const client = await authority.issue({ commonName: "client" });

/** The files of TLS between daemons, in a folder, and the flags that name them. */
export class Certificates {
  readonly authority = authority;
  /** What is served first, and meant by {@link pin}. */
  readonly pinned = server;
  readonly #folder: TempFolder;

  private constructor(folder: TempFolder) {
    this.#folder = folder;
  }

  static async make(folder: TempFolder): Promise<Certificates> {
    const certificates = new Certificates(folder);
    await certificates.put("ca.pem", authority.cert);
    await certificates.serveWith(server);
    await certificates.showWith(client);
    return certificates;
  }

  /** For who serves. */
  get serve(): readonly string[] {
    return ["--tls-cert", this.#path("server.pem"), "--tls-key", this.#path("server.key")];
  }

  /** For who demands certificates of clients. */
  get demand(): readonly string[] {
    return ["--tls-client-ca", this.#path("ca.pem")];
  }

  /** For who follows. */
  get trust(): readonly string[] {
    return ["--peer-tls-ca", this.#path("ca.pem")];
  }

  /** For who follows a daemon by its certificate alone. */
  get pin(): readonly string[] {
    return ["--peer-tls-fingerprint", new X509Certificate(server.cert).fingerprint256];
  }

  /** For who is asked for a certificate. */
  get show(): readonly string[] {
    return ["--peer-tls-cert", this.#path("client.pem"), "--peer-tls-key", this.#path("client.key")];
  }

  async serveWith({ cert, key }: KeyPair): Promise<void> {
    await this.put("server.pem", cert);
    await this.put("server.key", key);
  }

  async showWith({ cert, key }: KeyPair): Promise<void> {
    await this.put("client.pem", cert);
    await this.put("client.key", key);
  }

  async put(name: string, text: string): Promise<string> {
    await Deno.writeTextFile(this.#path(name), text, { mode: 0o600 });
    return this.#path(name);
  }

  #path(name: string): string {
    return `${this.#folder.path}/${name}`;
  }
}
