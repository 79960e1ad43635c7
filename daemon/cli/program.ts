import { Command } from "commander";
import { configHelp } from "../config/config_table.ts";
import { addBench } from "./bench.ts";
import { addConsume } from "./consume.ts";
import { addDelete } from "./delete.ts";
import { EXIT_CODE_HELP } from "./exit_code.ts";
import { addFetch } from "./fetch.ts";
import { addFifo } from "./fifo.ts";
import { addHead } from "./head.ts";
import { addHeads } from "./heads.ts";
import { addHealth } from "./health.ts";
import type { Invocation } from "./invocation.ts";
import { addPub } from "./pub.ts";
import { addPull } from "./pull.ts";
import { addReady } from "./ready.ts";
import { addServe } from "./serve.ts";
import { addSub } from "./sub.ts";
import { addSync } from "./sync.ts";
import { addToken } from "./token.ts";
import { addVersion, VERSION } from "./version.ts";

const DAEMON_HELP = `
Flags of the daemon [default, environment variable]; a flag comes before its variable:
${configHelp()}`;

/** Where the parser writes its texts. */
export interface ParserOutput {
  /** Help and version. */
  out(text: string): void;
  /** What is wrong with the command line. */
  err(text: string): void;
}

/** The whole command line. Parsing it throws CommanderError instead of ending the process. */
export function makeProgram(invocation: Invocation, output: ParserOutput): Command {
  const program = new Command("msgbusd")
    .description("A local-first durable message bus: the daemon, and a client for it")
    .version(VERSION, "--version", "Print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.out(text),
      writeErr: (text) => output.err(text),
      getOutHelpWidth: () => HELP_COLUMNS,
      getErrHelpWidth: () => HELP_COLUMNS,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText("after", DAEMON_HELP)
    .addHelpText("afterAll", EXIT_CODE_HELP);
  for (const add of COMMANDS) add(program, invocation);
  return program;
}

/** Wide enough for a table, narrow enough for a terminal beside another. */
const HELP_COLUMNS = 100;

const COMMANDS = [
  addServe,
  addPub,
  addSub,
  addConsume,
  addFetch,
  addPull,
  addHeads,
  addHead,
  addDelete,
  addFifo,
  addSync,
  addToken,
  addHealth,
  addReady,
  addBench,
  addVersion,
] as const;
