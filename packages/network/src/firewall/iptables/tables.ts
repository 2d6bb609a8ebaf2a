/**
 * The rule sets of iptables as text: what `iptables-save` prints and `iptables-restore` takes. Knows no rule of ours; told
 * which lines are ours by the comment they bear, it finds the smallest change from what is to what should be.
 */
import { execFile } from 'node:child_process';
import { BoxshipError } from '@boxship/base';

/** Rules by table and chain, each without its `-A CHAIN`. Order within a chain counts. */
export type Rules = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

export interface SavedTable {
  readonly chains: Set<string>;
  readonly rules: { readonly chain: string; readonly spec: string }[];
}

const timeoutMs = 15_000;
const suffixes = { 4: '', 6: '6' } as const;
/** An `iptables` that an administrator runs at the same time holds the lock for moments. */
const lockSeconds = '5';

/** @throws failedPrecondition when the program is missing, deadlineExceeded, internal with what it printed */
function run(program: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 256 << 20, env: environment() },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else if (error.code === 'ENOENT')
          reject(new BoxshipError('failedPrecondition', `${program} is not installed`, { cause: error }));
        else if (error.killed === true)
          reject(new BoxshipError('deadlineExceeded', `${program} did not end within ${timeoutMs} ms`));
        else reject(new BoxshipError('internal', `${program}: ${stderr.trim() || error.message}`, { cause: error }));
      },
    );
    child.stdin?.on('error', () => {}); // it may end without reading
    child.stdin?.end(input);
  });
}

/** Their directories are not in the search path of every service. */
const environment = (): NodeJS.ProcessEnv => ({ PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin:/usr/local/sbin` });

/** What `iptables-restore --version` says, e.g. `v1.8.9 (nf_tables)`. @throws failedPrecondition */
export const iptablesVersion = (): Promise<string> => run('iptables-restore', ['--version']);

export async function saveTables(family: 4 | 6): Promise<Map<string, SavedTable>> {
  return parseSaved(await run(`ip${suffixes[family]}tables-save`, []));
}

export async function restoreTables(family: 4 | 6, text: string): Promise<void> {
  await run(`ip${suffixes[family]}tables-restore`, ['--noflush', '-w', lockSeconds], text);
}

export function parseSaved(text: string): Map<string, SavedTable> {
  const tables = new Map<string, SavedTable>();
  let table: SavedTable | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = { chains: new Set(), rules: [] };
      tables.set(line.slice(1), table);
    } else if (line.startsWith(':')) table?.chains.add(line.slice(1).split(' ', 1)[0] ?? '');
    else if (line.startsWith('-A ')) {
      const [, chain = ''] = line.split(' ', 2);
      table?.rules.push({ chain, spec: line.slice(`-A ${chain} `.length) });
    }
  }
  return tables;
}

export interface Change {
  readonly saved: ReadonlyMap<string, SavedTable>;
  readonly wanted: Rules;
  /** Whether a rule is ours. */
  readonly isOurs: (spec: string) => boolean;
  /** Chains in which ours come before all others. */
  readonly first: ReadonlySet<string>;
  /** Chains that we make; they are removed when nothing is in them and nothing leads to them. */
  readonly own: ReadonlySet<string>;
}

/** The input for `iptables-restore --noflush` that makes our rules as wanted; empty when they are. One commit per table. */
export function planChange(change: Change): string {
  const { saved, wanted, isOurs } = change;
  let text = '';
  for (const table of new Set([...saved.keys(), ...wanted.keys()])) {
    const present = saved.get(table) ?? { chains: new Set<string>(), rules: [] };
    const target = wanted.get(table) ?? new Map<string, readonly string[]>();
    const [chains, deletions, additions, removals]: string[][] = [[], [], [], []];
    for (const chain of target.keys()) if (!present.chains.has(chain)) chains?.push(`:${chain} - [0:0]`);
    for (const chain of new Set([...present.chains, ...target.keys()])) {
      const ours = present.rules.filter((rule) => rule.chain === chain && isOurs(rule.spec)).map(({ spec }) => spec);
      const rules = target.get(chain) ?? [];
      if (ours.length === rules.length && ours.every((spec, index) => spec === rules[index])) continue;
      deletions?.push(...ours.map((spec) => `-D ${chain} ${spec}`));
      const isFirst = change.first.has(chain);
      additions?.push(
        ...rules.map((spec, index) => (isFirst ? `-I ${chain} ${index + 1} ${spec}` : `-A ${chain} ${spec}`)),
      );
    }
    if (target.size === 0) removals?.push(...emptyChains(present, change).map((chain) => `-X ${chain}`));
    const lines = [chains, deletions, additions, removals].flatMap((part) => part ?? []);
    if (lines.length > 0) text += `*${table}\n${lines.join('\n')}\nCOMMIT\n`;
  }
  return text;
}

/** Own chains of a table that hold and serve nobody once our rules are gone. */
function emptyChains(table: SavedTable, { isOurs, own }: Change): string[] {
  const foreign = table.rules.filter(({ spec }) => !isOurs(spec));
  return [...table.chains].filter(
    (name) => own.has(name) && !foreign.some(({ chain, spec }) => chain === name || spec.split(' ').includes(name)),
  );
}
