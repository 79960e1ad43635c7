import { BusError } from "../bus/error.ts";
import { type GrantList, Grants } from "../bus/grants.ts";
import { AuthFileError } from "./error.ts";

/** A token and what it may do. */
export interface TokenEntry {
  readonly id: string;
  /** For people and in refusals; once per file. */
  readonly name: string;
  /** SHA-256 of the token, 64 hexadecimal digits. Enough for 256 random bits: there is nothing to guess by trial. */
  readonly sha256: string;
  /** When it was made, RFC 3339. */
  readonly createdAt?: string;
  readonly allow: GrantList;
}

/** A client certificate and what its owner may do. At least one of the ways to know it is there. */
export interface CertificateEntry {
  readonly name: string;
  /** SHA-256 of the certificate, 64 hexadecimal digits. */
  readonly fingerprint?: string;
  /** The subject's common name. */
  readonly commonName?: string;
  /** An alternative name of the subject: a DNS name, URI, e-mail address or IP address. */
  readonly subjectAltName?: string;
  readonly allow: GrantList;
}

/** Who may do what. */
export interface AuthFile {
  readonly tokens: readonly TokenEntry[];
  readonly certificates: readonly CertificateEntry[];
}

const MAX_ENTRIES = 10_000;
const PATTERN_GRANTS = ["publish", "subscribe", "fifo"] as const;
const FLAG_GRANTS = ["admin", "sync"] as const;
const SHA256 = /^[0-9a-f]{64}$/;

/** Reads the text of a file of tokens. Throws AuthFileError that names the place. */
export function parseAuthFile(text: string, path: string): AuthFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AuthFileError(`Cannot use "${path}": it is not JSON: ${reason}`, { cause });
  }
  const root = new Place(path, "the file", value).object(["tokens", "certificates"]);
  const file = {
    tokens: root.list("tokens").map(readToken),
    certificates: root.list("certificates").map(readCertificate),
  };
  requireOnce(path, "name", [...file.tokens, ...file.certificates].map(({ name }) => name));
  requireOnce(path, "id", file.tokens.map(({ id }) => id));
  return file;
}

/** The text of a file of tokens. */
export function formatAuthFile(file: AuthFile): string {
  return `${JSON.stringify(file, null, 2)}\n`;
}

function readToken(place: Place): TokenEntry {
  const entry = place.object(["id", "name", "sha256", "createdAt", "allow"]);
  const createdAt = entry.optionalText("createdAt");
  return {
    id: entry.text("id", /^[0-9a-f]{12}$/, "12 hexadecimal digits"),
    name: entry.text("name", /\S/, "a name"),
    sha256: entry.text("sha256", SHA256, "64 hexadecimal digits in lower case"),
    ...createdAt === undefined ? {} : { createdAt },
    allow: readGrants(entry.at("allow")),
  };
}

function readCertificate(place: Place): CertificateEntry {
  const entry = place.object(["name", "fingerprint", "commonName", "subjectAltName", "allow"]);
  const fingerprint = entry.optionalText("fingerprint")?.replaceAll(":", "").toLowerCase();
  const commonName = entry.optionalText("commonName");
  const subjectAltName = entry.optionalText("subjectAltName");
  if (fingerprint !== undefined && !SHA256.test(fingerprint)) {
    throw place.wrong("its fingerprint is no SHA-256; give 64 hexadecimal digits");
  }
  if (fingerprint === undefined && commonName === undefined && subjectAltName === undefined) {
    throw place.wrong("it says no certificate; give fingerprint, commonName or subjectAltName");
  }
  return {
    name: entry.text("name", /\S/, "a name"),
    ...fingerprint === undefined ? {} : { fingerprint },
    ...commonName === undefined ? {} : { commonName },
    ...subjectAltName === undefined ? {} : { subjectAltName },
    allow: readGrants(entry.at("allow")),
  };
}

function readGrants(place: Place): GrantList {
  const entry = place.object([...PATTERN_GRANTS, ...FLAG_GRANTS]);
  const list = {
    ...Object.fromEntries(PATTERN_GRANTS.map((kind) => [kind, entry.texts(kind)])),
    ...Object.fromEntries(FLAG_GRANTS.map((kind) => [kind, entry.flag(kind)])),
  };
  try {
    new Grants(list);
  } catch (error) {
    if (!(error instanceof BusError)) throw error;
    throw place.wrong(error.message);
  }
  return list;
}

function requireOnce(path: string, what: string, values: readonly string[]): void {
  const twice = values.find((value, at) => values.indexOf(value) !== at);
  if (twice !== undefined) {
    throw new AuthFileError(
      `Cannot use "${path}": the ${what} "${twice}" is there twice; change one of them`,
    );
  }
}

/** A value in the file and the way to it, for error messages. */
class Place {
  readonly #path: string;
  readonly #where: string;
  readonly #value: unknown;

  constructor(path: string, where: string, value: unknown) {
    this.#path = path;
    this.#where = where;
    this.#value = value;
  }

  wrong(state: string): AuthFileError {
    return new AuthFileError(`Cannot use "${this.#path}": ${this.#where}: ${state}`);
  }

  /** This value as an object that has no other keys. */
  object(keys: readonly string[]): Entry {
    const value = this.#value;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.wrong("it is no object; write { … }");
    }
    const unknown = Object.keys(value).find((key) => !keys.includes(key));
    if (unknown !== undefined) {
      throw this.wrong(`"${unknown}" is unknown; it takes ${keys.join(", ")}`);
    }
    return new Entry(this, (key) => (value as Record<string, unknown>)[key]);
  }

  inside(key: string, value: unknown): Place {
    return new Place(this.#path, this.#where === "the file" ? key : `${this.#where}.${key}`, value);
  }

  element(at: number, value: unknown): Place {
    return new Place(this.#path, `${this.#where}[${at}]`, value);
  }
}

/** The members of an object in the file. */
class Entry {
  readonly #place: Place;
  readonly #get: (key: string) => unknown;

  constructor(place: Place, get: (key: string) => unknown) {
    this.#place = place;
    this.#get = get;
  }

  at(key: string): Place {
    return this.#place.inside(key, this.#get(key));
  }

  text(key: string, form: RegExp, wish: string): string {
    const value = this.#get(key);
    if (typeof value !== "string" || !form.test(value)) throw this.at(key).wrong(`it must be ${wish}`);
    return value;
  }

  optionalText(key: string): string | undefined {
    return this.#get(key) === undefined ? undefined : this.text(key, /\S/, "a text");
  }

  flag(key: string): boolean {
    const value = this.#get(key) ?? false;
    if (typeof value !== "boolean") throw this.at(key).wrong("it must be true or false");
    return value;
  }

  list(key: string): Place[] {
    const value = this.#get(key) ?? [];
    const place = this.at(key);
    if (!Array.isArray(value)) throw place.wrong("it is no list; write [ … ]");
    if (value.length > MAX_ENTRIES) {
      throw place.wrong(`it has ${value.length} entries, limit is ${MAX_ENTRIES}`);
    }
    return value.map((element, at) => place.element(at, element));
  }

  texts(key: string): string[] {
    const value = this.#get(key) ?? [];
    if (!Array.isArray(value) || !value.every((element) => typeof element === "string")) {
      throw this.at(key).wrong("it must be a list of texts");
    }
    return value;
  }
}
