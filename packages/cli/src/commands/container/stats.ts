/** `stats`: resource use of containers, once or refreshed. */
import { formatBinarySize, formatSize } from '@boxship/base';
import type { ContainerStats } from '@boxship/engine-api';
import { type CommandContext, defineCommand } from '../../command.ts';
import { formatList, type ListFormat, type Row } from '../../format/formatter.ts';
import { flag } from '../../pflag/flags.ts';

const format: ListFormat = {
  table: '{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}',
  typeName: '*container.statsContext',
  quiet: 'ID',
  titles: {
    Container: 'CONTAINER',
    ID: 'CONTAINER ID',
    Name: 'NAME',
    CPUPerc: 'CPU %',
    MemUsage: 'MEM USAGE / LIMIT',
    MemPerc: 'MEM %',
    NetIO: 'NET I/O',
    BlockIO: 'BLOCK I/O',
    PIDs: 'PIDS',
  },
};

export default defineCommand({
  usage: 'stats [OPTIONS] [CONTAINER...]',
  short: 'Display a live stream of container(s) resource usage statistics',
  flags: {
    all: flag.bool({ short: 'a', help: 'Show all containers (default shows just running)' }),
    format: flag.string({ help: 'Format output using a custom template' }),
    'no-stream': flag.bool({ help: 'Disable streaming stats and only pull the first result' }),
    'no-trunc': flag.bool({ help: 'Do not truncate output' }),
  },
  operands: { min: 0, max: Number.POSITIVE_INFINITY },
  async run(context, values, operands) {
    const names =
      operands.length > 0
        ? operands
        : (await context.client.containers.list({ all: values.all })).map(({ Id }) => Id.slice(0, 12));
    const show = (samples: readonly ContainerStats[]) =>
      formatList(
        format,
        { format: values.format, isQuiet: false },
        samples.map((sample, index) => toRow(names[index] ?? '', sample, !values['no-trunc'])),
      );
    if (values['no-stream']) {
      context.stdout.write(show(await Promise.all(names.map((name) => firstSample(context, name)))));
      return 0;
    }
    const latest = new Map<string, ContainerStats>();
    const streams = names.map(async (name) => {
      for await (const sample of context.client.containers.stats(name)) latest.set(name, sample);
      latest.delete(name);
    });
    const isOver = Promise.all(streams).then(() => true);
    for (let over = false; !over; ) {
      over = await Promise.race([isOver, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 500))]);
      const text = show(names.flatMap((name) => latest.get(name) ?? []));
      context.stdout.write(`\x1b[H${text.replaceAll('\n', '\x1b[K\n')}\x1b[J`);
    }
    return 0;
  },
});

async function firstSample(context: CommandContext, name: string): Promise<ContainerStats> {
  for await (const sample of context.client.containers.stats(name, { stream: false })) return sample;
  throw new Error(`no statistics of ${name}`);
}

function toRow(name: string, stats: ContainerStats, isTruncated: boolean): Row {
  const { cpu_stats: cpu, precpu_stats: before, memory_stats: memory } = stats;
  const used = (cpu.cpu_usage?.total_usage ?? 0) - (before.cpu_usage?.total_usage ?? 0);
  const system = (cpu.system_cpu_usage ?? 0) - (before.system_cpu_usage ?? 0);
  const percent = used > 0 && system > 0 ? (used / system) * (cpu.online_cpus ?? 1) * 100 : 0;
  // the page cache that the kernel may take back at once does not count: cgroup v1 and v2 name it differently
  const cache = memory.stats?.['total_inactive_file'] ?? memory.stats?.['inactive_file'] ?? 0;
  const usage = memory.usage ?? 0;
  const resident = cache < usage ? usage - cache : usage;
  const limit = memory.limit ?? 0;
  const networks = Object.values(stats.networks ?? {});
  const sum = (key: 'rx_bytes' | 'tx_bytes') => networks.reduce((total, network) => total + network[key], 0);
  const blocks = (letter: string) =>
    (stats.blkio_stats?.io_service_bytes_recursive ?? [])
      .filter(({ op }) => op.toLowerCase().startsWith(letter))
      .reduce((total, { value }) => total + value, 0);
  return {
    Container: name,
    ID: isTruncated ? stats.id.slice(0, 12) : stats.id,
    Name: stats.name.replace(/^\//, ''),
    CPUPerc: `${percent.toFixed(2)}%`,
    MemUsage: `${formatBinarySize(resident)} / ${formatBinarySize(limit)}`,
    MemPerc: `${(limit > 0 ? (resident / limit) * 100 : 0).toFixed(2)}%`,
    NetIO: `${formatSize(sum('rx_bytes'), 3)} / ${formatSize(sum('tx_bytes'), 3)}`,
    BlockIO: `${formatSize(blocks('r'), 3)} / ${formatSize(blocks('w'), 3)}`,
    PIDs: String(stats.pids_stats?.current ?? 0),
  };
}
