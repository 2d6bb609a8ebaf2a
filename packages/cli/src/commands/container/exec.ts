/** `exec`: one more process in a running container. */
import { defineCommand, ExitWith } from '../../command.ts';
import { readKeyValueFile, resolveEnv } from '../../options/env.ts';
import { flag } from '../../pflag/flags.ts';
import { defaultDetachKeys } from '../../stream/detach-keys.ts';
import { joinHijacked } from '../../stream/hijacked-io.ts';
import { followWindowSize } from '../../stream/resize.ts';

export default defineCommand({
  usage: 'exec [OPTIONS] CONTAINER COMMAND [ARG...]',
  short: 'Execute a command in a running container',
  flags: {
    detach: flag.bool({ short: 'd', help: 'Detached mode: run command in the background' }),
    'detach-keys': flag.string({ help: 'Override the key sequence for detaching a container' }),
    env: flag.list({ short: 'e', help: 'Set environment variables' }),
    'env-file': flag.list({ help: 'Read in a file of environment variables' }),
    interactive: flag.bool({ short: 'i', help: 'Keep STDIN open even if not attached' }),
    privileged: flag.bool({ help: 'Give extended privileges to the command' }),
    tty: flag.bool({ short: 't', help: 'Allocate a pseudo-TTY' }),
    user: flag.string({ short: 'u', help: 'Username or UID (format: "<name|uid>[:<group|gid>]")' }),
    workdir: flag.string({ short: 'w', help: 'Working directory inside the container' }),
  },
  operands: { min: 2, max: Number.POSITIVE_INFINITY },
  isInterspersed: false,
  async run(context, values, [container = '', ...command]) {
    const { containers, exec } = context.client;
    await containers.inspect(container);
    if (values.tty && values.interactive && !values.detach && !context.stdin.isTTY)
      throw new ExitWith(1, 'the input device is not a TTY');
    const detachKeys = values['detach-keys'] || defaultDetachKeys;
    const env = [
      ...values['env-file'].flatMap((file) => readKeyValueFile(file, (name) => process.env[name])),
      ...resolveEnv(values.env),
    ];
    const size =
      values.tty && context.stdout.isTTY ? { ConsoleSize: [context.stdout.rows, context.stdout.columns] } : {};
    const { Id } = await exec.create(container, {
      User: values.user,
      Privileged: values.privileged,
      Tty: values.tty,
      AttachStdin: values.interactive && !values.detach,
      AttachStdout: !values.detach,
      AttachStderr: !values.detach,
      DetachKeys: detachKeys,
      Env: env,
      WorkingDir: values.workdir,
      Cmd: command,
      ...size,
    });
    if (values.detach) {
      await exec.startDetached(Id, { Tty: values.tty });
      return 0;
    }
    const connection = await exec.start(Id, { Tty: values.tty, ...size });
    const io = joinHijacked(context, connection, {
      isTerminal: values.tty,
      sendsInput: values.interactive,
      showsOutput: true,
      showsErrors: true,
      detachKeys,
    });
    const stopResizing =
      values.tty && context.stdout.isTTY ? followWindowSize(context, (window) => exec.resize(Id, window)) : () => {};
    try {
      if ((await io.ended) === 'detached') return 0;
    } finally {
      io.restore();
      stopResizing();
    }
    const { ExitCode } = await exec.inspect(Id);
    return ExitCode ?? 0;
  },
});
