/** The kinds of flags, as Go's pflag has them, and their values. A command declares a record of flags; parsing types it. */
import { BoxshipError, parseSize } from '@boxship/base';

export interface Flag<Value> {
  /** `bool` flags stand alone; every other takes a value. */
  readonly type: string;
  readonly short: string | undefined;
  readonly help: string;
  readonly initial: Value;
  /** Shown in help, e.g. `(default 10)`; empty: nothing. */
  readonly shownDefault: string;
  readonly isHidden: boolean;
  /** The value after one more occurrence. @throws an error whose message goes behind `invalid argument …: ` */
  readonly add: (current: Value, text: string) => Value;
}

interface FlagOptions<Value> {
  readonly short?: string;
  readonly help: string;
  readonly initial?: Value;
  readonly isHidden?: boolean;
}

function make<Value>(
  type: string,
  options: FlagOptions<Value>,
  initial: Value,
  add: Flag<Value>['add'],
  shownDefault = '',
): Flag<Value> {
  return {
    type,
    short: options.short,
    help: options.help,
    initial: options.initial ?? initial,
    shownDefault,
    isHidden: options.isHidden ?? false,
    add,
  };
}

const invalid = (message: string): never => {
  throw new BoxshipError('invalidArgument', message);
};

function parseBool(text: string): boolean {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  return invalid(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text)) return invalid(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  return Number(text);
}

/** CPUs as billionths, exactly. */
function parseCpus(text: string): number {
  const match = /^(\d*)(?:\.(\d+))?$/.exec(text);
  if (match === null || text === '') return invalid(`failed to parse ${text} as a rational number`);
  const fraction = match[2] ?? '';
  if (fraction.length > 9) return invalid('value is too precise');
  return Number(match[1] || '0') * 1e9 + Number(fraction.padEnd(9, '0'));
}

export const flag = {
  bool: (options: FlagOptions<boolean>) => make('bool', options, false, (_, text) => parseBool(text)),
  string: (options: FlagOptions<string>) =>
    make(
      'string',
      options,
      '',
      (_, text) => text,
      options.initial ? `(default ${JSON.stringify(options.initial)})` : '',
    ),
  int: (options: FlagOptions<number>) =>
    make('int', options, 0, (_, text) => parseInteger(text), options.initial ? `(default ${options.initial})` : ''),
  /** Given any number of times; each occurrence is one element. */
  list: (options: FlagOptions<readonly string[]>) =>
    make<readonly string[]>('list', options, [], (all, text) => [...all, text]),
  /** As list, but a comma separates elements too. */
  strings: (options: FlagOptions<readonly string[]>) =>
    make<readonly string[]>('strings', options, [], (all, text) => [...all, ...text.split(',')]),
  bytes: (options: FlagOptions<number>) => make('bytes', options, 0, (_, text) => parseSize(text)),
  /** As bytes, with -1 for "unlimited". */
  swap: (options: FlagOptions<number>) =>
    make('bytes', options, 0, (_, text) => (text === '-1' ? -1 : parseSize(text))),
  cpus: (options: FlagOptions<number>) => make('decimal', options, 0, (_, text) => parseCpus(text)),
} as const;

export type FlagRecord = Readonly<Record<string, Flag<never>>>;
export type FlagValues<Flags> = {
  readonly [Name in keyof Flags]: Flags[Name] extends Flag<infer Value> ? Value : never;
};
