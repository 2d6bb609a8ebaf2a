/** Resource usage: containerd's cgroup metrics in Docker's shape. */
import { readFileSync } from 'node:fs';
import { type cgroups1, type cgroups2, decodeAny } from '@boxship/api';
import type {
  BlkioEntry,
  BlkioStats,
  ContainerStats,
  CpuStats,
  InterfaceStats,
  MemoryStats,
} from '@boxship/engine-api';
import { nowRfc3339, zeroTime } from '../clock.ts';
import type { Parts } from '../parts.ts';
import type { Container } from './model.ts';

const tickNs = 10_000_000;
const unlimited = 2n ** 60n;

const emptyCpu = (): CpuStats => ({
  cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 },
  throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
});

const emptyBlkio = (): BlkioStats => ({
  io_service_bytes_recursive: null,
  io_serviced_recursive: null,
  io_queue_recursive: null,
  io_service_time_recursive: null,
  io_wait_time_recursive: null,
  io_merged_recursive: null,
  io_time_recursive: null,
  sectors_recursive: null,
});

/** One sample; `previous` fills the pre-fields. Zeros for a container that does not run. */
export async function sampleStats(
  parts: Parts,
  container: Container,
  previous: ContainerStats | undefined,
): Promise<ContainerStats> {
  const base = {
    read: zeroTime,
    preread: previous?.read ?? zeroTime,
    pids_stats: {},
    blkio_stats: emptyBlkio(),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: emptyCpu(),
    precpu_stats: previous?.cpu_stats ?? emptyCpu(),
    memory_stats: {},
    name: `/${container.record.name}`,
    id: container.id,
  } satisfies ContainerStats;
  if (!container.record.state.Running || container.record.state.Restarting) return base;
  const [metrics, networks] = await Promise.all([cgroupStats(parts, container), networkStats(parts, container)]);
  return {
    ...base,
    read: nowRfc3339(),
    ...metrics,
    ...(networks === undefined ? {} : { networks }),
  };
}

type CgroupPart = Pick<ContainerStats, 'pids_stats' | 'blkio_stats' | 'cpu_stats' | 'memory_stats'>;

async function cgroupStats(parts: Parts, container: Container): Promise<CgroupPart> {
  const { metrics } = await parts.containerd.tasks.metrics({ filters: [`id==${container.id}`] });
  const data = metrics.find((metric) => metric.id === container.id)?.data ?? metrics[0]?.data;
  if (data === undefined) return { pids_stats: {}, blkio_stats: emptyBlkio(), cpu_stats: emptyCpu(), memory_stats: {} };
  const decoded = decodeAny(data);
  const host = { system_cpu_usage: systemCpuNs(), online_cpus: parts.host.cpuCount };
  const limit = parts.host.memoryBytes;
  if (decoded.kind === 'message' && decoded.name === 'io.containerd.cgroups.v2.Metrics')
    return fromV2(decoded.value as cgroups2.Metrics, host, limit);
  return fromV1(decoded.kind === 'message' ? (decoded.value as cgroups1.Metrics) : undefined, host, limit);
}

type HostCpu = Pick<CpuStats, 'system_cpu_usage' | 'online_cpus'>;
const number = (value: bigint | number | undefined): number => Number(value ?? 0);

function fromV1(metrics: cgroups1.Metrics | undefined, host: HostCpu, hostMemory: number): CgroupPart {
  const cpu = metrics?.cpu;
  const memory = metrics?.memory;
  const pids = metrics?.pids;
  const entries = (list: readonly cgroups1.BlkIOEntry[] | undefined): BlkioEntry[] =>
    (list ?? []).map(({ major, minor, op, value }) => ({
      major: number(major),
      minor: number(minor),
      op,
      value: number(value),
    }));
  const blkio = metrics?.blkio;
  return {
    pids_stats: { current: number(pids?.current), ...(number(pids?.limit) > 0 ? { limit: number(pids?.limit) } : {}) },
    blkio_stats: {
      io_service_bytes_recursive: entries(blkio?.ioServiceBytesRecursive),
      io_serviced_recursive: entries(blkio?.ioServicedRecursive),
      io_queue_recursive: entries(blkio?.ioQueuedRecursive),
      io_service_time_recursive: entries(blkio?.ioServiceTimeRecursive),
      io_wait_time_recursive: entries(blkio?.ioWaitTimeRecursive),
      io_merged_recursive: entries(blkio?.ioMergedRecursive),
      io_time_recursive: entries(blkio?.ioTimeRecursive),
      sectors_recursive: entries(blkio?.sectorsRecursive),
    },
    cpu_stats: {
      cpu_usage: {
        total_usage: number(cpu?.usage?.total),
        percpu_usage: (cpu?.usage?.perCpu ?? []).map(number),
        usage_in_kernelmode: number(cpu?.usage?.kernel),
        usage_in_usermode: number(cpu?.usage?.user),
      },
      ...host,
      throttling_data: {
        periods: number(cpu?.throttling?.periods),
        throttled_periods: number(cpu?.throttling?.throttledPeriods),
        throttled_time: number(cpu?.throttling?.throttledTime),
      },
    },
    memory_stats: memory === undefined ? {} : memoryV1(memory, hostMemory),
  };
}

function memoryV1(memory: cgroups1.MemoryStat, hostMemory: number): MemoryStats {
  const limit = memory.usage?.limit ?? 0n;
  const stats: Record<string, number> = {};
  for (const [name, value] of Object.entries(memory)) if (typeof value === 'bigint') stats[v1Key(name)] = number(value);
  return {
    usage: number(memory.usage?.usage),
    max_usage: number(memory.usage?.max),
    stats,
    ...(number(memory.usage?.failcnt) > 0 ? { failcnt: number(memory.usage?.failcnt) } : {}),
    limit: limit === 0n || limit > unlimited ? hostMemory : Math.min(number(limit), hostMemory),
  };
}

/** Our camel case back to the kernel's names: `totalInactiveFile` → `total_inactive_file`, `pgPgIn` → `pgpgin`. */
const v1Key = (name: string): string =>
  name
    .replace(/([A-Z])/g, (letter) => `_${letter.toLowerCase()}`)
    .replace(/pg_pg_in$/, 'pgpgin')
    .replace(/pg_pg_out$/, 'pgpgout')
    .replace(/pg_fault$/, 'pgfault')
    .replace(/pg_maj_fault$/, 'pgmajfault')
    .replace(/hierarchical_swap_limit$/, 'hierarchical_memsw_limit');

function fromV2(metrics: cgroups2.Metrics, host: HostCpu, hostMemory: number): CgroupPart {
  const { cpu, memory, pids, io } = metrics;
  const stats: Record<string, number> = {};
  for (const [name, value] of Object.entries(memory ?? {}))
    if (typeof value === 'bigint' && !/^(usage|swap)/.test(name))
      stats[name.replace(/([A-Z])/g, (letter) => `_${letter.toLowerCase()}`)] = number(value);
  const limit = memory?.usageLimit ?? 0n;
  return {
    pids_stats: { current: number(pids?.current), ...(number(pids?.limit) > 0 ? { limit: number(pids?.limit) } : {}) },
    blkio_stats: {
      ...emptyBlkio(),
      io_service_bytes_recursive: (io?.usage ?? []).flatMap(({ major, minor, rbytes, wbytes }) => [
        { major: number(major), minor: number(minor), op: 'read', value: number(rbytes) },
        { major: number(major), minor: number(minor), op: 'write', value: number(wbytes) },
      ]),
    },
    cpu_stats: {
      cpu_usage: {
        total_usage: number(cpu?.usageUsec) * 1000,
        usage_in_kernelmode: number(cpu?.systemUsec) * 1000,
        usage_in_usermode: number(cpu?.userUsec) * 1000,
      },
      ...host,
      throttling_data: {
        periods: number(cpu?.nrPeriods),
        throttled_periods: number(cpu?.nrThrottled),
        throttled_time: number(cpu?.throttledUsec) * 1000,
      },
    },
    memory_stats: {
      usage: number(memory?.usage),
      stats,
      limit: limit === 0n || limit > unlimited ? hostMemory : Math.min(number(limit), hostMemory),
    },
  };
}

/** CPU time of the whole host since boot. */
function systemCpuNs(): number {
  const line = /^cpu\s+(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  // guest times are part of user time already
  return (
    line
      .split(/\s+/)
      .slice(0, 8)
      .reduce((sum, ticks) => sum + Number(ticks), 0) * tickNs
  );
}

async function networkStats(parts: Parts, container: Container): Promise<Record<string, InterfaceStats> | undefined> {
  const { sandbox, hostConfig } = container.record;
  if (parts.network === undefined || sandbox === undefined || hostConfig.NetworkMode === 'host') return undefined;
  const list = await parts.network.statistics(sandbox.id);
  if (list.length === 0) return undefined;
  return Object.fromEntries(
    list.map((one) => [
      one.interfaceName,
      {
        rx_bytes: one.rxBytes,
        rx_packets: one.rxPackets,
        rx_errors: one.rxErrors,
        rx_dropped: one.rxDropped,
        tx_bytes: one.txBytes,
        tx_packets: one.txPackets,
        tx_errors: one.txErrors,
        tx_dropped: one.txDropped,
      },
    ]),
  );
}
