/** Verbs over containers that are one request each. */
import { defineCommand } from '../../command.ts';
import { layout } from '../../format/table.ts';
import { flag } from '../../pflag/flags.ts';
import { eachOperand } from '../each-operand.ts';

const stopFlags = {
  signal: flag.string({ short: 's', help: 'Signal to send to the container' }),
  time: flag.int({ short: 't', help: 'Seconds to wait before killing the container' }),
  timeout: flag.int({ help: 'Seconds to wait before killing the container', isHidden: true }),
};

const many = { min: 1, max: Number.POSITIVE_INFINITY };

export const stop = defineCommand({
  usage: 'stop [OPTIONS] CONTAINER [CONTAINER...]',
  short: 'Stop one or more running containers',
  flags: stopFlags,
  operands: many,
  run: (context, values, operands, given) =>
    eachOperand(context, operands, async (name) => {
      await context.client.containers.stop(name, stopOptions(values, given));
      return name;
    }),
});

export const restart = defineCommand({
  usage: 'restart [OPTIONS] CONTAINER [CONTAINER...]',
  short: 'Restart one or more containers',
  flags: stopFlags,
  operands: many,
  run: (context, values, operands, given) =>
    eachOperand(context, operands, async (name) => {
      await context.client.containers.restart(name, stopOptions(values, given));
      return name;
    }),
});

function stopOptions(values: { signal: string; time: number; timeout: number }, given: ReadonlySet<string>) {
  const timeout = given.has('timeout') ? values.timeout : given.has('time') ? values.time : undefined;
  return { ...(timeout === undefined ? {} : { timeout }), ...(values.signal === '' ? {} : { signal: values.signal }) };
}

export const kill = defineCommand({
  usage: 'kill [OPTIONS] CONTAINER [CONTAINER...]',
  short: 'Kill one or more running containers',
  flags: { signal: flag.string({ short: 's', help: 'Signal to send to the container' }) },
  operands: many,
  run: (context, values, operands) =>
    eachOperand(context, operands, async (name) => {
      await context.client.containers.kill(name, values.signal === '' ? undefined : values.signal);
      return name;
    }),
});

export const pause = defineCommand({
  usage: 'pause CONTAINER [CONTAINER...]',
  short: 'Pause all processes within one or more containers',
  flags: {},
  operands: many,
  run: (context, _values, operands) =>
    eachOperand(context, operands, async (name) => {
      await context.client.containers.pause(name);
      return name;
    }),
});

export const unpause = defineCommand({
  usage: 'unpause CONTAINER [CONTAINER...]',
  short: 'Unpause all processes within one or more containers',
  flags: {},
  operands: many,
  run: (context, _values, operands) =>
    eachOperand(context, operands, async (name) => {
      await context.client.containers.unpause(name);
      return name;
    }),
});

export const rm = defineCommand({
  usage: 'rm [OPTIONS] CONTAINER [CONTAINER...]',
  short: 'Remove one or more containers',
  aliases: ['container rm', 'container remove', 'rm'],
  flags: {
    force: flag.bool({ short: 'f', help: 'Force the removal of a running container (uses SIGKILL)' }),
    link: flag.bool({ short: 'l', help: 'Remove the specified link' }),
    volumes: flag.bool({ short: 'v', help: 'Remove anonymous volumes associated with the container' }),
  },
  operands: many,
  async run(context, values, operands) {
    const { force, link, volumes } = values;
    const code = await eachOperand(context, operands, async (name) => {
      await context.client.containers.remove(name.replace(/^\//, ''), { force, v: volumes, link });
      return name;
    });
    return force ? 0 : code; // docker: what `rm -f` did not find is reported, and the code is 0
  },
});

export const rename = defineCommand({
  usage: 'rename CONTAINER NEW_NAME',
  short: 'Rename a container',
  flags: {},
  operands: { min: 2, max: 2 },
  async run(context, _values, [name = '', newName = '']) {
    await context.client.containers.rename(name, newName);
    return 0;
  },
});

export const wait = defineCommand({
  usage: 'wait CONTAINER [CONTAINER...]',
  short: 'Block until one or more containers stop, then print their exit codes',
  flags: {},
  operands: many,
  run: (context, _values, operands) =>
    eachOperand(context, operands, async (name) => {
      const { result } = await context.client.containers.wait(name);
      return String((await result).StatusCode);
    }),
});

export const top = defineCommand({
  usage: 'top CONTAINER [ps OPTIONS]',
  short: 'Display the running processes of a container',
  flags: {},
  operands: many,
  isInterspersed: false,
  async run(context, _values, [name = '', ...options]) {
    const { Titles, Processes } = await context.client.containers.top(
      name,
      options.length === 0 ? undefined : options.join(' '),
    );
    context.stdout.write(layout([Titles, ...(Processes ?? [])], { minWidth: 20, padding: 3 }));
    return 0;
  },
});

export const port = defineCommand({
  usage: 'port CONTAINER [PRIVATE_PORT[/PROTO]]',
  short: 'List port mappings or a specific mapping for the container',
  flags: {},
  operands: { min: 1, max: 2 },
  async run(context, _values, [name = '', wanted]) {
    const { NetworkSettings } = await context.client.containers.inspect(name);
    const key = wanted === undefined ? undefined : wanted.includes('/') ? wanted : `${wanted}/tcp`;
    let found = 0;
    for (const [inside, bindings] of Object.entries(NetworkSettings.Ports ?? {})) {
      if (key !== undefined && key !== inside) continue;
      for (const { HostIp = '', HostPort } of bindings ?? []) {
        const host = `${HostIp.includes(':') ? `[${HostIp}]` : HostIp}:${HostPort}`;
        context.print(key === undefined ? `${inside} -> ${host}` : host);
        found++;
      }
    }
    if (key !== undefined && found === 0) {
      context.warn(`Error: No public port '${key}' published for ${name}`);
      return 1;
    }
    return 0;
  },
});
