/** What a text means for a setting, or what is wrong with it. */
export type Parsed<T> = { readonly value: T } | { readonly problem: string };

/** One setting of the daemon: where its value comes from and what it may be. */
export interface Setting<T> {
  /** Such as "--listen". */
  readonly flag: string;
  /** What follows the flag, for help texts; undefined where nothing does: the flag itself is the value "true". */
  readonly argument: string | undefined;
  /** The environment variable; an empty one counts as absent. */
  readonly env: string;
  /** The value where none is given, as it would be written; undefined where the setting is off then. */
  readonly default: string | undefined;
  /** One sentence for help texts and the README. */
  readonly doc: string;
  /** What to give, for error texts: "give …". */
  readonly wish: string;
  /** How many values it takes: 1, or more by repeating the flag or by commas in the variable. */
  readonly maxValues: number;
  /** The value of its texts, which may be none; or what is wrong, and with which of them. */
  read(texts: readonly string[]): { readonly value: T } | { readonly problem: string; readonly text: string };
}

interface Description {
  readonly flag: string;
  readonly argument: string | undefined;
  readonly env: string;
  readonly doc: string;
  readonly wish: string;
}

/** A setting with one value and a default. */
export function required<T>(
  description: Description & { readonly default: string },
  parse: (text: string) => Parsed<T>,
): Setting<T> {
  const standard = description.default;
  return { ...description, maxValues: 1, read: ([text = standard]) => withText(parse(text), text) };
}

/** A setting that is off unless it is given. */
export function optional<T>(
  description: Description,
  parse: (text: string) => Parsed<T>,
): Setting<T | undefined> {
  return {
    ...description,
    default: undefined,
    maxValues: 1,
    read: ([text]) => text === undefined ? { value: undefined } : withText(parse(text), text),
  };
}

/** A setting that is on or off: a flag without a value, or true or false in the variable. Off where it is not given. */
export function toggle(description: Pick<Description, "flag" | "env" | "doc">): Setting<boolean> {
  return {
    ...description,
    argument: undefined,
    default: undefined,
    wish: "true or false",
    maxValues: 1,
    read([text = "false"]) {
      if (text === "true" || text === "false") return { value: text === "true" };
      return { problem: "there is no such value", text };
    },
  };
}

/** How a setting is written on the command line, for help texts. */
export function usageOf({ flag, argument }: Setting<unknown>): string {
  return argument === undefined ? flag : `${flag} ${argument}`;
}

/** A setting with many values, none of them twice. */
export function list<T>(
  description: Description & { readonly default: string | undefined; readonly maxValues: number },
  parse: (text: string) => Parsed<T>,
): Setting<readonly T[]> {
  return {
    ...description,
    read(texts) {
      const values: T[] = [];
      for (const [index, text] of texts.entries()) {
        const parsed = parse(text);
        if ("problem" in parsed) return { ...parsed, text };
        if (texts.indexOf(text) < index) return { problem: "it is given twice", text };
        values.push(parsed.value);
      }
      return { value: values };
    },
  };
}

function withText<T>(parsed: Parsed<T>, text: string) {
  return "problem" in parsed ? { ...parsed, text } : parsed;
}
