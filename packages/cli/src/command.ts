/** What a command is: how it is called, its flags, and what it does with a client. */
import type { EngineClient } from '@boxship/engine-api';
import type { FlagValues } from './pflag/flags.ts';

export interface CommandContext {
  readonly client: EngineClient;
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Prints a line to standard output. */
  print(line: string): void;
  /** Prints a line to standard error. */
  warn(line: string): void;
}

export interface Command<Flags extends object = object> {
  readonly usage: string;
  readonly short: string;
  readonly aliases?: readonly string[];
  readonly flags: Flags;
  /** How many operands; the texts of a violation are docker's. */
  readonly operands: { readonly min: number; readonly max: number };
  /** False for commands that pass the rest on to a container. */
  readonly isInterspersed?: boolean;
  /** @returns the exit code */
  run(
    context: CommandContext,
    values: FlagValues<Flags>,
    operands: readonly string[],
    given: ReadonlySet<string>,
  ): Promise<number>;
}

/** Ties the types of flags and implementation together. */
export function defineCommand<Flags extends object>(command: Command<Flags>): Command {
  return command as unknown as Command;
}

/** An exit code that is no failure of ours: the container's. */
export class ExitWith extends Error {
  readonly code: number;

  constructor(code: number, message = '') {
    super(message);
    this.code = code;
  }
}
