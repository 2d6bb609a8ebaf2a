/** `volume` verbs. */
import { formatSize } from '@boxship/base';
import { defineCommand } from '../../command.ts';
import { formatList, type ListFormat } from '../../format/formatter.ts';
import { toMap } from '../../options/env.ts';
import { parseFilterFlags } from '../../options/filters.ts';
import { flag } from '../../pflag/flags.ts';
import { eachOperand } from '../each-operand.ts';

const format: ListFormat = {
  table: '{{.Driver}}\t{{.Name}}',
  typeName: '*formatter.volumeContext',
  quiet: 'Name',
  titles: { Driver: 'DRIVER', Name: 'VOLUME NAME', Scope: 'SCOPE', Mountpoint: 'MOUNTPOINT', Labels: 'LABELS' },
};

export const list = defineCommand({
  usage: 'volume ls [OPTIONS]',
  short: 'List volumes',
  aliases: ['volume ls', 'volume list'],
  flags: {
    filter: flag.list({ short: 'f', help: 'Provide filter values (e.g. "dangling=true")' }),
    format: flag.string({ help: 'Format output using a custom template' }),
    quiet: flag.bool({ short: 'q', help: 'Only display volume names' }),
  },
  operands: { min: 0, max: 0 },
  async run(context, values) {
    const { Volumes } = await context.client.volumes.list(parseFilterFlags(values.filter));
    const rows = (Volumes ?? [])
      .toSorted((a, b) => (a.Name < b.Name ? -1 : 1))
      .map((volume) => ({
        Driver: volume.Driver,
        Name: volume.Name,
        Scope: volume.Scope,
        Mountpoint: volume.Mountpoint,
        Labels: Object.entries(volume.Labels ?? {})
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
      }));
    context.stdout.write(formatList(format, { format: values.format, isQuiet: values.quiet }, rows));
    return 0;
  },
});

export const create = defineCommand({
  usage: 'volume create [OPTIONS] [VOLUME]',
  short: 'Create a volume',
  flags: {
    driver: flag.string({ short: 'd', initial: 'local', help: 'Specify volume driver name' }),
    label: flag.list({ help: 'Set metadata for a volume' }),
    opt: flag.list({ short: 'o', help: 'Set driver specific options' }),
  },
  operands: { min: 0, max: 1 },
  async run(context, values, [name = '']) {
    const request = { Name: name, Driver: values.driver, DriverOpts: toMap(values.opt), Labels: toMap(values.label) };
    context.print((await context.client.volumes.create(request)).Name);
    return 0;
  },
});

export const remove = defineCommand({
  usage: 'volume rm [OPTIONS] VOLUME [VOLUME...]',
  short: 'Remove one or more volumes',
  aliases: ['volume rm', 'volume remove'],
  flags: { force: flag.bool({ short: 'f', help: 'Force the removal of one or more volumes' }) },
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  run: (context, values, operands) =>
    eachOperand(context, operands, async (name) => {
      await context.client.volumes.remove(name, { force: values.force });
      return name;
    }),
});

export const prune = defineCommand({
  usage: 'volume prune [OPTIONS]',
  short: 'Remove unused local volumes',
  flags: {
    all: flag.bool({ short: 'a', help: 'Remove all unused volumes, not just anonymous ones' }),
    filter: flag.list({ help: 'Provide filter values (e.g. "label=<label>")' }),
    force: flag.bool({ short: 'f', help: 'Do not prompt for confirmation' }),
  },
  operands: { min: 0, max: 0 },
  async run(context, values) {
    if (!values.force) {
      context.warn('This removes volumes that no container uses. Say so with --force.');
      return 1;
    }
    const { VolumesDeleted, SpaceReclaimed } = await context.client.volumes.prune(
      parseFilterFlags([...values.filter, ...(values.all ? ['all=true'] : [])]),
    );
    if (VolumesDeleted !== null && VolumesDeleted.length > 0)
      context.print(['Deleted Volumes:', ...VolumesDeleted, ''].join('\n'));
    context.print(`Total reclaimed space: ${formatSize(SpaceReclaimed)}`);
    return 0;
  },
});
