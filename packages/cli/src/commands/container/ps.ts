/** `ps`: containers in a table. */
import { formatSize } from '@boxship/base';
import type { ContainerSummary } from '@boxship/engine-api';
import { defineCommand } from '../../command.ts';
import { configFile } from '../../config-file.ts';
import { formatList, type ListFormat, type Row } from '../../format/formatter.ts';
import { ago, ellipsis, goTime } from '../../format/humanize.ts';
import { formatPorts } from '../../format/ports.ts';
import { parseFilterFlags } from '../../options/filters.ts';
import { flag } from '../../pflag/flags.ts';

const columns = '{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}';
const format: ListFormat = {
  table: columns,
  typeName: '*formatter.ContainerContext',
  quiet: 'ID',
  titles: {
    ID: 'CONTAINER ID',
    Image: 'IMAGE',
    Command: 'COMMAND',
    CreatedAt: 'CREATED AT',
    RunningFor: 'CREATED',
    Status: 'STATUS',
    State: 'STATE',
    Ports: 'PORTS',
    Names: 'NAMES',
    Size: 'SIZE',
    Labels: 'LABELS',
    Mounts: 'MOUNTS',
    LocalVolumes: 'LOCAL VOLUMES',
    Networks: 'NETWORKS',
    Platform: 'PLATFORM',
  },
};

export default defineCommand({
  usage: 'ps [OPTIONS]',
  short: 'List containers',
  aliases: ['container ls', 'container list', 'container ps', 'ps'],
  flags: {
    all: flag.bool({ short: 'a', help: 'Show all containers (default shows just running)' }),
    filter: flag.list({ short: 'f', help: 'Filter output based on conditions provided' }),
    format: flag.string({ help: 'Format output using a custom template' }),
    last: flag.int({ short: 'n', initial: -1, help: 'Show n last created containers (includes all states)' }),
    latest: flag.bool({ short: 'l', help: 'Show the latest created container (includes all states)' }),
    'no-trunc': flag.bool({ help: "Don't truncate output" }),
    quiet: flag.bool({ short: 'q', help: 'Only display container IDs' }),
    size: flag.bool({ short: 's', help: 'Display total file sizes' }),
  },
  operands: { min: 0, max: 0 },
  async run(context, values) {
    const limit = values.latest ? 1 : values.last;
    const wanted = values.format || (configFile().psFormat ?? '');
    const containers = await context.client.containers.list({
      all: values.all || limit > 0,
      size: values.size || /\.Size\b/.test(wanted),
      filters: parseFilterFlags(values.filter),
      ...(limit > 0 ? { limit } : {}),
    });
    const table = values.size ? { ...format, table: `${columns}\t{{.Size}}` } : format;
    const rows = containers.map((container) => toRow(container, !values['no-trunc']));
    context.stdout.write(formatList(table, { format: wanted, isQuiet: values.quiet }, rows));
    return 0;
  },
});

function toRow(container: ContainerSummary, isTruncated: boolean): Row {
  const cut = (text: string, width: number) => (isTruncated ? ellipsis(text, width) : text);
  // linked names hold a slash; they are shown only untruncated
  const names = container.Names.map((name) => name.replace(/^\//, '')).filter(
    (name) => !isTruncated || !name.includes('/'),
  );
  const labels = Object.entries(container.Labels).map(([key, value]) => `${key}=${value}`);
  const mounts = container.Mounts.map((mount) => mount.Name ?? mount.Source);
  const virtual = container.SizeRootFs ? ` (virtual ${formatSize(container.SizeRootFs, 3)})` : '';
  return {
    ID: isTruncated ? container.Id.slice(0, 12) : container.Id,
    Image:
      container.Image === ''
        ? '<no image>'
        : cut(container.Image.replace(/^sha256:([0-9a-f]{12})[0-9a-f]+$/, '$1'), Number.POSITIVE_INFINITY),
    Command: `"${cut(container.Command, 20)}"`,
    CreatedAt: goTime(container.Created),
    RunningFor: ago(container.Created),
    Status: container.Status,
    State: container.State,
    Ports: formatPorts(container.Ports),
    Names: names.join(','),
    Size: `${formatSize(container.SizeRw ?? 0, 3)}${virtual}`,
    Labels: labels.join(','),
    Mounts: mounts.map((name) => cut(name, 15)).join(','),
    LocalVolumes: String(container.Mounts.filter((mount) => mount.Driver === 'local').length),
    Networks: Object.keys(container.NetworkSettings.Networks).join(','),
    Platform: null,
  };
}
