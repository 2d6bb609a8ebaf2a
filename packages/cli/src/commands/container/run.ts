/** `run`: create, attach, wait, start, in this order, so that no output and no exit is missed. */
import { existsSync, unlinkSync, writeFileSync } from 'node:fs';
import { BoxshipError, messageOf } from '@boxship/base';
import type { ContainerCreateRequest } from '@boxship/engine-api';
import { type CommandContext, defineCommand, ExitWith } from '../../command.ts';
import { configFile } from '../../config-file.ts';
import { containerFlags, containerRequest } from '../../options/container-config.ts';
import { flag } from '../../pflag/flags.ts';
import { defaultDetachKeys } from '../../stream/detach-keys.ts';
import { type HijackedIo, joinHijacked } from '../../stream/hijacked-io.ts';
import { followWindowSize } from '../../stream/resize.ts';
import { forwardSignals } from '../../stream/signals.ts';
import { createContainer } from './create-container.ts';

export default defineCommand({
  usage: 'run [OPTIONS] IMAGE [COMMAND] [ARG...]',
  short: 'Create and run a new container from an image',
  aliases: ['container run', 'run'],
  flags: {
    ...containerFlags,
    detach: flag.bool({ short: 'd', help: 'Run container in background and print container ID' }),
    'detach-keys': flag.string({ help: 'Override the key sequence for detaching a container' }),
    'sig-proxy': flag.bool({ initial: true, help: 'Proxy received signals to the process' }),
  },
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  isInterspersed: false,
  async run(context, values, operands, given) {
    if (values.detach && values.attach.length > 0)
      throw new BoxshipError('invalidArgument', 'conflicting options: cannot specify both --attach and --detach');
    const request = containerRequest(values, operands, given, { isDetached: values.detach });
    if (values.tty && request.AttachStdin === true && !context.stdin.isTTY)
      throw new ExitWith(1, 'the input device is not a TTY');
    if (values.tty && context.stdout.isTTY && request.HostConfig !== undefined)
      request.HostConfig.ConsoleSize = [context.stdout.rows, context.stdout.columns];
    const { cidfile } = values;
    if (cidfile !== '' && existsSync(cidfile))
      throw new BoxshipError(
        'conflict',
        `container ID file found, make sure the other container isn't running or delete ${cidfile}`,
      );
    const id = await createContainer(context, request, {
      name: values.name,
      platform: values.platform,
      pull: values.pull,
      isQuiet: values.quiet,
    });
    if (cidfile !== '') writeFileSync(cidfile, id);
    try {
      if (values.detach) {
        await context.client.containers.start(id);
        context.print(id);
        return 0;
      }
      const detachKeys = values['detach-keys'] || (configFile().detachKeys ?? defaultDetachKeys);
      return await runAttached(context, id, request, {
        detachKeys,
        forwardsSignals: values['sig-proxy'],
        isRemoved: values.rm,
      });
    } catch (error) {
      if (cidfile !== '' && error instanceof ExitWith === false) removeEmpty(cidfile);
      throw withStartCode(error);
    }
  },
});

function removeEmpty(cidfile: string): void {
  if (existsSync(cidfile)) unlinkSync(cidfile);
}

interface RunOptions {
  readonly detachKeys: string;
  readonly forwardsSignals: boolean;
  readonly isRemoved: boolean;
}

async function runAttached(
  context: CommandContext,
  id: string,
  request: ContainerCreateRequest,
  options: RunOptions,
): Promise<number> {
  const { containers } = context.client;
  const isTerminal = request.Tty === true;
  const [sendsInput, showsOutput, showsErrors] = [
    request.AttachStdin === true,
    request.AttachStdout === true,
    request.AttachStderr === true,
  ];
  const stopForwarding =
    options.forwardsSignals && !isTerminal ? forwardSignals((signal) => containers.kill(id, signal)) : () => {};
  let io: HijackedIo | undefined;
  let stopResizing = () => {};
  try {
    if (sendsInput || showsOutput || showsErrors) {
      const connection = await containers.attach(id, {
        stream: true,
        stdin: sendsInput,
        stdout: showsOutput,
        stderr: showsErrors,
        detachKeys: options.detachKeys,
      });
      io = joinHijacked(context, connection, {
        isTerminal,
        sendsInput,
        showsOutput,
        showsErrors,
        detachKeys: options.detachKeys,
      });
    }
    const { result } = await containers.wait(id, options.isRemoved ? 'removed' : 'next-exit');
    await containers.start(id);
    if (isTerminal && context.stdout.isTTY)
      stopResizing = followWindowSize(context, (size) => containers.resize(id, size));
    const outcome = (await io?.ended) ?? 'ended';
    if (outcome === 'detached') {
      context.warn('read escape sequence');
      return 0;
    }
    const { StatusCode, Error: failure } = await result;
    if (failure?.Message) throw new BoxshipError('unknown', failure.Message);
    return StatusCode;
  } finally {
    io?.restore();
    stopResizing();
    stopForwarding();
  }
}

/** docker tells by the daemon's words why a container did not start: 127 not found, 126 not executable, 125 anything else. */
export function withStartCode(error: unknown): unknown {
  if (error instanceof ExitWith) return error;
  const text = messageOf(error);
  const code = /executable file not found|no such file or directory|system cannot find the file specified/.test(text)
    ? 127
    : /permission denied|is a directory/.test(text)
      ? 126
      : 125;
  const isDaemons = BoxshipError.is(error) && error.details['status'] !== undefined;
  return new ExitWith(code, isDaemons ? `Error response from daemon: ${text}` : text);
}
