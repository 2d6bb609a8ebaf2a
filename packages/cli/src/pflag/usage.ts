/** The help text of a command, in docker's layout. */
import type { Flag } from './flags.ts';

export interface UsageSource {
  /** Behind the program's name: `run [OPTIONS] IMAGE [COMMAND] [ARG...]`. */
  readonly usage: string;
  readonly short: string;
  readonly aliases?: readonly string[];
  readonly flags: object;
}

const typeNames: Readonly<Record<string, string>> = { bool: '', strings: 'strings' };

export function usageText(command: UsageSource): string {
  const lines = [`Usage:  boxship ${command.usage}`, '', command.short];
  if (command.aliases !== undefined)
    lines.push('', 'Aliases:', `  ${command.aliases.map((alias) => `boxship ${alias}`).join(', ')}`);
  const flags = (Object.entries(command.flags) as [string, Flag<unknown>][])
    .filter(([, { isHidden }]) => !isHidden)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  if (flags.length > 0) {
    const rows = flags.map(([name, { short, type, help, shownDefault }]) => {
      const kind = typeNames[type] ?? type;
      return [
        `  ${short === undefined ? '   ' : `-${short},`} --${name}${kind === '' ? '' : ` ${kind}`}`,
        shownDefault === '' ? help : `${help} ${shownDefault}`,
      ] as const;
    });
    const width = Math.max(...rows.map(([left]) => left.length)) + 3;
    lines.push('', 'Options:', ...rows.map(([left, right]) => `${left.padEnd(width)}${right}`));
  }
  return `${lines.join('\n')}\n`;
}
