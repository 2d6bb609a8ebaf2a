/** From arguments to an exit code. */
import { BoxshipError } from '@boxship/base';
import { createEngineClient } from '@boxship/engine-api';
import { type Command, type CommandContext, ExitWith } from './command.ts';
import { commandTable } from './command-table.ts';
import { daemonError } from './commands/each-operand.ts';
import { resolveHost } from './host.ts';
import { flag } from './pflag/flags.ts';
import { isHelpRequest, parseFlags } from './pflag/parse.ts';
import { usageText } from './pflag/usage.ts';
import { clientVersion } from './version.ts';

const globalFlags = {
  config: flag.string({ help: 'Location of client config files' }),
  context: flag.string({ short: 'c', help: 'Name of the context to use' }),
  debug: flag.bool({ short: 'D', help: 'Enable debug mode' }),
  host: flag.list({ short: 'H', help: 'Daemon socket to connect to' }),
  'log-level': flag.string({ short: 'l', initial: 'info', help: 'Set the logging level' }),
  version: flag.bool({ short: 'v', help: 'Print version information and quit' }),
} as const;

/** Runs one command line. @returns the exit code */
export async function runCli(args: readonly string[]): Promise<number> {
  let parsed: ReturnType<typeof parseFlags<typeof globalFlags>>;
  try {
    parsed = parseFlags(args, globalFlags, { isInterspersed: false });
  } catch (error) {
    if (isHelpRequest(error)) {
      process.stdout.write(overview());
      return 0;
    }
    process.stderr.write(
      `${(error as Error).message}\n\nUsage:  boxship [OPTIONS] COMMAND [ARG...]\n\nRun 'boxship --help' for more information\n`,
    );
    return 125;
  }
  const { values, operands } = parsed;
  if (values.version) {
    process.stdout.write(`boxship version ${clientVersion}\n`);
    return 0;
  }
  if (values.config !== '') process.env['DOCKER_CONFIG'] = values.config;
  const [first, second] = operands;
  if (first === undefined || first === 'help') {
    process.stdout.write(overview());
    return 0;
  }
  const two = commandTable.get(`${first} ${second ?? ''}`);
  const load = two ?? commandTable.get(first);
  if (load === undefined) {
    const group = [...commandTable.keys()].filter((name) => name.startsWith(`${first} `));
    if (group.length > 0 && (second === undefined || second === '--help')) {
      process.stdout.write(
        `Usage:  boxship ${first} COMMAND\n\nCommands:\n${group.map((name) => `  ${name.slice(first.length + 1)}\n`).join('')}`,
      );
      return 0;
    }
    process.stderr.write(
      `boxship: unknown command: boxship ${operands.slice(0, group.length > 0 ? 2 : 1).join(' ')}\n\nRun 'boxship --help' for more information\n`,
    );
    return 1;
  }
  return await runCommand(await load(), operands.slice(two === undefined ? 1 : 2), values.host);
}

async function runCommand(command: Command, args: readonly string[], hosts: readonly string[]): Promise<number> {
  const name = command.usage.split(' [')[0]?.replace(/ [A-Z_|]+.*/, '') ?? '';
  const refuse = (message: string, code: number): number => {
    process.stderr.write(
      `${message}\n\nUsage:  boxship ${command.usage}\n\nRun 'boxship ${name} --help' for more information\n`,
    );
    return code;
  };
  let parsed: ReturnType<typeof parseFlags<object>>;
  try {
    parsed = parseFlags(args, command.flags, { isInterspersed: command.isInterspersed ?? true });
  } catch (error) {
    if (isHelpRequest(error)) {
      process.stdout.write(usageText(command));
      return 0;
    }
    return refuse((error as Error).message, 125);
  }
  const { min, max } = command.operands;
  if (parsed.operands.length < min || parsed.operands.length > max)
    return refuse(`boxship: ${operandText(name, min, max)}`, 1);
  const version = process.env['DOCKER_API_VERSION'];
  await using client = createEngineClient({ host: resolveHost(hosts), ...(version ? { apiVersion: version } : {}) });
  const context: CommandContext = {
    client,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    print: (line) => void process.stdout.write(`${line}\n`),
    warn: (line) => void process.stderr.write(`${line}\n`),
  };
  try {
    return await command.run(context, parsed.values as never, parsed.operands, parsed.given);
  } catch (error) {
    const isCreator = name === 'run' || name === 'create';
    if (error instanceof ExitWith) {
      if (error.message !== '')
        context.warn(
          isCreator ? `boxship: ${error.message}\n\nRun 'boxship ${name} --help' for more information` : error.message,
        );
      return error.code;
    }
    context.warn(isCreator ? `boxship: ${daemonError(error)}` : daemonError(error));
    return isCreator || (name === 'exec' && !BoxshipError.is(error)) ? 125 : 1;
  }
}

function operandText(name: string, min: number, max: number): string {
  const s = (count: number) => (count === 1 ? '' : 's');
  if (max === 0) return `'boxship ${name}' accepts no arguments`;
  if (min === max) return `'boxship ${name}' requires ${min} argument${s(min)}`;
  if (max === Number.POSITIVE_INFINITY) return `'boxship ${name}' requires at least ${min} argument${s(min)}`;
  return `'boxship ${name}' requires at least ${min} and at most ${max} argument${s(max)}`;
}

function overview(): string {
  const words = [...commandTable.keys()];
  const singles = words.filter((word) => !word.includes(' '));
  const groups = [...new Set(words.filter((word) => word.includes(' ')).map((word) => word.split(' ')[0]))];
  return `Usage:  boxship [OPTIONS] COMMAND\n\nA client of the Docker Engine API\n\nCommands:\n${singles.map((word) => `  ${word}\n`).join('')}\nManagement Commands:\n${groups.map((word) => `  ${word}\n`).join('')}\nRun 'boxship COMMAND --help' for more information on a command.\n`;
}
