import type { TlsClientOptions } from "@msgbus/sdk";
import type { Command } from "commander";
import { isFingerprint } from "../config/fingerprint.ts";
import { CliError } from "./error.ts";
import type { CliIo } from "./io.ts";
import { CLI_LIMITS } from "./limits.ts";

/** The flags of TLS, each with its variable. The variables are not those of the daemon, which may be set beside them. */
const FLAGS = [
  {
    option: "tlsCa",
    usage: "--tls-ca <file>",
    env: "MSGBUS_CONNECT_TLS_CA",
    doc: "PEM file of the authority that the daemon must have",
  },
  {
    option: "tlsFingerprint",
    usage: "--tls-fingerprint <sha256>",
    env: "MSGBUS_CONNECT_TLS_FINGERPRINT",
    doc: "SHA-256 of the certificate that the daemon must have, in place of --tls-ca; several with commas",
  },
  {
    option: "tlsCert",
    usage: "--tls-cert <file>",
    env: "MSGBUS_CONNECT_TLS_CERT",
    doc: "PEM file of the certificate to show to the daemon",
  },
  {
    option: "tlsKey",
    usage: "--tls-key <file>",
    env: "MSGBUS_CONNECT_TLS_KEY",
    doc: "PEM file of that certificate's private key",
  },
  {
    option: "tlsServerName",
    usage: "--tls-server-name <name>",
    env: "MSGBUS_CONNECT_TLS_SERVER_NAME",
    doc: "The name that the daemon's certificate must carry, where it is not the host of --connect",
  },
] as const;

type FlagName = typeof FLAGS[number]["option"];

/** Adds the flags of TLS to a command that asks a daemon. */
export function addTlsFlags(command: Command): Command {
  for (const { usage, env, doc } of FLAGS) command.option(usage, `${doc} [${env}]`);
  return command;
}

/** What the flags and variables say of TLS; undefined where they say nothing. Throws CliError "USAGE". */
export async function readTlsFlags(command: Command, io: CliIo): Promise<TlsClientOptions | undefined> {
  const given = command.opts<Partial<Record<FlagName, string>>>();
  const text = new Map(FLAGS.map(({ option, env }) => [option, given[option] ?? (io.env(env) || undefined)]));
  if ([...text.values()].every((value) => value === undefined)) return undefined;
  const ca = await readPem("tlsCa", text.get("tlsCa"), io);
  const fingerprints = text.get("tlsFingerprint")?.split(",").map((part) => readFingerprint(part.trim()));
  if (ca !== undefined && fingerprints !== undefined) {
    throw new CliError("USAGE", "--tls-ca would not be asked beside --tls-fingerprint: give one of both");
  }
  const cert = await readPem("tlsCert", text.get("tlsCert"), io);
  const key = await readPem("tlsKey", text.get("tlsKey"), io);
  if ((cert === undefined) !== (key === undefined)) {
    throw new CliError("USAGE", "--tls-cert and --tls-key belong together: give both or none");
  }
  const serverName = text.get("tlsServerName");
  return {
    ...(ca !== undefined && { ca }),
    ...(fingerprints !== undefined && { fingerprints }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { serverName }),
  };
}

function readFingerprint(text: string): string {
  if (isFingerprint(text)) return text;
  const wish = "give 64 hexadecimal digits, with or without colons";
  throw new CliError("USAGE", `--tls-fingerprint ${JSON.stringify(text)} is no SHA-256: ${wish}`);
}

async function readPem(option: FlagName, path: string | undefined, io: CliIo): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const flag = FLAGS.find((candidate) => candidate.option === option)?.usage.split(" ")[0];
  let bytes: Uint8Array | undefined;
  try {
    bytes = await io.files.read(path, CLI_LIMITS.pemBytes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError("USAGE", `Cannot read ${flag} ${JSON.stringify(path)}: ${why}`);
  }
  if (bytes === undefined) {
    throw new CliError("USAGE", `Cannot read ${flag} ${JSON.stringify(path)}: it does not exist`);
  }
  return new TextDecoder().decode(bytes);
}
