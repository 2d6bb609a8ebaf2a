/** Parses arguments as pflag does: `-it`, `-p8080:80`, `--rm=false`, `--`, flags stopping at the first operand on request. */
import { BoxshipError, messageOf } from '@boxship/base';
import type { Flag, FlagValues } from './flags.ts';

export interface ParsedArguments<Flags> {
  readonly values: FlagValues<Flags>;
  readonly operands: readonly string[];
  /** Names of flags that were given. */
  readonly given: ReadonlySet<string>;
}

export interface ParseOptions {
  /** False: everything after the first operand is an operand (`run IMAGE COMMAND -x`). */
  readonly isInterspersed: boolean;
}

type AnyFlag = Flag<unknown>;

/** @throws invalidArgument with pflag's texts */
export function parseFlags<Flags extends object>(
  args: readonly string[],
  flags: Flags,
  options: ParseOptions,
): ParsedArguments<Flags> {
  const table = new Map(Object.entries(flags) as [string, AnyFlag][]);
  const shorts = new Map(
    [...table].flatMap(([name, { short }]) => (short === undefined ? [] : [[short, name] as const])),
  );
  const values: Record<string, unknown> = Object.fromEntries([...table].map(([name, { initial }]) => [name, initial]));
  const operands: string[] = [];
  const given = new Set<string>();

  const set = (name: string, text: string, shown: string) => {
    const target = table.get(name) as AnyFlag;
    // a list starts empty at its first occurrence, whatever its default
    const current = given.has(name) || !Array.isArray(target.initial) ? values[name] : [];
    try {
      values[name] = target.add(current, text);
    } catch (error) {
      const label = target.short === undefined ? `--${name}` : `-${target.short}, --${name}`;
      throw new BoxshipError(
        'invalidArgument',
        `invalid argument ${JSON.stringify(text)} for ${JSON.stringify(label)} flag: ${messageOf(error)}`,
        { details: { shown } },
      );
    }
    given.add(name);
  };

  let at = 0;
  while (at < args.length) {
    const arg = args[at++] ?? '';
    if (arg === '--') {
      operands.push(...args.slice(at));
      break;
    }
    if (arg.length < 2 || !arg.startsWith('-')) {
      operands.push(arg);
      if (options.isInterspersed) continue;
      operands.push(...args.slice(at));
      break;
    }
    if (arg.startsWith('--')) {
      const [, name = '', value] = /^--([^=]*)(?:=([\s\S]*))?$/.exec(arg) ?? [];
      const target = table.get(name);
      if (name === 'help' && target === undefined) throw helpRequest();
      if (target === undefined) throw new BoxshipError('invalidArgument', `unknown flag: --${name}`);
      if (value !== undefined) set(name, value, arg);
      else if (target.type === 'bool') set(name, 'true', arg);
      else {
        const next = args[at++];
        if (next === undefined) throw new BoxshipError('invalidArgument', `flag needs an argument: --${name}`);
        set(name, next, arg);
      }
      continue;
    }
    let rest = arg.slice(1);
    while (rest !== '') {
      const letter = rest[0] ?? '';
      const name = shorts.get(letter);
      if (name === undefined)
        throw new BoxshipError('invalidArgument', `unknown shorthand flag: '${letter}' in -${rest}`);
      rest = rest.slice(1);
      const isBool = table.get(name)?.type === 'bool';
      if (rest.startsWith('=')) {
        set(name, rest.slice(1), arg);
        rest = '';
      } else if (isBool) {
        set(name, 'true', arg);
      } else if (rest !== '') {
        set(name, rest, arg);
        rest = '';
      } else {
        const next = args[at++];
        if (next === undefined)
          throw new BoxshipError('invalidArgument', `flag needs an argument: '${letter}' in ${arg}`);
        set(name, next, arg);
      }
    }
  }
  return { values: values as FlagValues<Flags>, operands, given };
}

const help = Symbol('help');

function helpRequest(): Error {
  return Object.assign(new Error('help'), { [help]: true });
}

/** True for what parsing throws at `--help`. */
export const isHelpRequest = (error: unknown): boolean => typeof error === 'object' && error !== null && help in error;
