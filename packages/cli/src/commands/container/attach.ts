/** `attach`: the terminal joins a running container. */
import { BoxshipError } from '@boxship/base';
import { defineCommand, ExitWith } from '../../command.ts';
import { flag } from '../../pflag/flags.ts';
import { defaultDetachKeys } from '../../stream/detach-keys.ts';
import { joinHijacked } from '../../stream/hijacked-io.ts';
import { followWindowSize } from '../../stream/resize.ts';
import { forwardSignals } from '../../stream/signals.ts';

export default defineCommand({
  usage: 'attach [OPTIONS] CONTAINER',
  short: 'Attach local standard input, output, and error streams to a running container',
  flags: {
    'detach-keys': flag.string({ help: 'Override the key sequence for detaching a container' }),
    'no-stdin': flag.bool({ help: 'Do not attach STDIN' }),
    'sig-proxy': flag.bool({ initial: true, help: 'Proxy all received signals to the process' }),
  },
  operands: { min: 1, max: 1 },
  async run(context, values, [name = '']) {
    const { containers } = context.client;
    const { result } = await containers.wait(name);
    const { Id, Config, State } = await containers.inspect(name);
    if (!State.Running) throw new BoxshipError('conflict', 'You cannot attach to a stopped container, start it first');
    if (State.Paused) throw new BoxshipError('conflict', 'You cannot attach to a paused container, unpause it first');
    if (State.Restarting)
      throw new BoxshipError('conflict', 'You cannot attach to a restarting container, wait until it is running');
    const sendsInput = !values['no-stdin'] && Config.OpenStdin;
    if (Config.Tty && sendsInput && !context.stdin.isTTY) throw new ExitWith(1, 'the input device is not a TTY');
    const detachKeys = values['detach-keys'] || defaultDetachKeys;
    const connection = await containers.attach(Id, {
      stream: true,
      stdin: sendsInput,
      stdout: true,
      stderr: true,
      detachKeys,
    });
    const stopForwarding =
      values['sig-proxy'] && !Config.Tty ? forwardSignals((signal) => containers.kill(Id, signal)) : () => {};
    const io = joinHijacked(context, connection, {
      isTerminal: Config.Tty,
      sendsInput,
      showsOutput: true,
      showsErrors: true,
      detachKeys,
    });
    const stopResizing =
      Config.Tty && context.stdout.isTTY ? followWindowSize(context, (size) => containers.resize(Id, size)) : () => {};
    try {
      if ((await io.ended) === 'detached') {
        context.warn('read escape sequence');
        return 0;
      }
      const { StatusCode } = await result;
      return StatusCode;
    } finally {
      io.restore();
      stopResizing();
      stopForwarding();
    }
  },
});
