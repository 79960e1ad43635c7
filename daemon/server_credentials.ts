import { ServerTls, TlsCredentialsError, type TlsPart } from "@msgbus/grpc/tls";
import type { TlsFiles } from "./config/config.ts";
import { ConfigError } from "./config/error.ts";
import { SETTINGS } from "./config/settings.ts";

/** Bytes of a PEM file; thousands of authorities fit. */
const MAX_PEM_BYTES = 4_194_304;
/** Whoever else may read a private key may be the server. */
const READABLE_BY_OTHERS = 0o044;

/** What the files of TLS hold, and what the operator should know of them, one line each. */
export interface ServerCredentials {
  readonly tls: ServerTls;
  readonly warnings: readonly string[];
}

/** Reads and checks the files of TLS. Throws ConfigError that names the flag and the file. */
export async function loadServerCredentials(files: TlsFiles): Promise<ServerCredentials> {
  const { certPath, keyPath, clientCaPath } = files;
  const pem = {
    cert: await readPem("cert", certPath),
    key: await readPem("key", keyPath),
    ...(clientCaPath !== undefined && { clientCa: await readPem("clientCa", clientCaPath) }),
  };
  try {
    const tls = await ServerTls.load(pem);
    return { tls, warnings: [...tls.warnings, ...await keyWarnings(keyPath)] };
  } catch (error) {
    if (!(error instanceof TlsCredentialsError)) throw error;
    const path = {
      cert: certPath,
      key: keyPath,
      clientCa: clientCaPath,
      ca: undefined,
      fingerprints: undefined,
    }[error.part] ?? "";
    throw unusable(error.part, path, error.reason);
  }
}

async function readPem(part: TlsPart, path: string): Promise<string> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_PEM_BYTES) {
      throw unusable(part, path, `it has ${size} bytes, the limit is ${MAX_PEM_BYTES}`);
    }
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError("unreadable_file", `Cannot read ${FLAG_OF[part]} ${JSON.stringify(path)}: ${why}`);
  }
}

async function keyWarnings(path: string): Promise<string[]> {
  const { mode } = await Deno.stat(path);
  if (mode === null || (mode & READABLE_BY_OTHERS) === 0) return [];
  const octal = (mode & 0o777).toString(8).padStart(3, "0");
  return [
    `${FLAG_OF.key} ${
      JSON.stringify(path)
    } can be read by others than its owner (mode ${octal}); chmod 600 it`,
  ];
}

const FLAG_OF = {
  cert: SETTINGS.tlsCert.flag,
  key: SETTINGS.tlsKey.flag,
  clientCa: SETTINGS.tlsClientCa.flag,
  ca: SETTINGS.peerTlsCa.flag,
  fingerprints: SETTINGS.peerTlsFingerprint.flag,
} satisfies Record<TlsPart, string>;

function unusable(part: TlsPart, path: string, reason: string): ConfigError {
  return new ConfigError("unusable_file", `Cannot use ${FLAG_OF[part]} ${JSON.stringify(path)}: ${reason}`);
}
