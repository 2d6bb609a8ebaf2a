/** `start`: existing containers; with `-a` or `-i` one of them in the foreground. */
import { BoxshipError } from '@boxship/base';
import { defineCommand, ExitWith } from '../../command.ts';
import { flag } from '../../pflag/flags.ts';
import { defaultDetachKeys } from '../../stream/detach-keys.ts';
import { joinHijacked } from '../../stream/hijacked-io.ts';
import { followWindowSize } from '../../stream/resize.ts';
import { forwardSignals } from '../../stream/signals.ts';
import { eachOperand } from '../each-operand.ts';

export default defineCommand({
  usage: 'start [OPTIONS] CONTAINER [CONTAINER...]',
  short: 'Start one or more stopped containers',
  flags: {
    attach: flag.bool({ short: 'a', help: 'Attach STDOUT/STDERR and forward signals' }),
    interactive: flag.bool({ short: 'i', help: "Attach container's STDIN" }),
    'detach-keys': flag.string({ help: 'Override the key sequence for detaching a container' }),
  },
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, values, operands) {
    const { containers } = context.client;
    if (!values.attach && !values.interactive)
      return await eachOperand(
        context,
        operands,
        async (name) => {
          await containers.start(name);
          return name;
        },
        'failed to start containers',
      );
    if (operands.length > 1)
      throw new BoxshipError('invalidArgument', 'you cannot start and attach multiple containers at once');
    const [name = ''] = operands;
    const { Config, Id } = await containers.inspect(name);
    const detachKeys = values['detach-keys'] || defaultDetachKeys;
    const sendsInput = values.interactive && Config.OpenStdin;
    const connection = await containers.attach(Id, {
      stream: true,
      stdin: sendsInput,
      stdout: true,
      stderr: true,
      detachKeys,
    });
    const io = joinHijacked(context, connection, {
      isTerminal: Config.Tty,
      sendsInput,
      showsOutput: true,
      showsErrors: true,
      detachKeys,
    });
    const stopForwarding = Config.Tty ? () => {} : forwardSignals((signal) => containers.kill(Id, signal));
    try {
      const { result } = await containers.wait(Id, 'next-exit');
      await containers.start(Id);
      const stopResizing =
        Config.Tty && context.stdout.isTTY
          ? followWindowSize(context, (size) => containers.resize(Id, size))
          : () => {};
      const outcome = await io.ended;
      stopResizing();
      if (outcome === 'detached') return 0;
      const { StatusCode } = await result;
      if (StatusCode !== 0) throw new ExitWith(StatusCode);
      return 0;
    } finally {
      io.restore();
      stopForwarding();
    }
  },
});
