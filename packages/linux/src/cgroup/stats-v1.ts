/** Statistics of a version 1 cgroup, in the shape of `io.containerd.cgroups.v1.Metrics`. Times are nanoseconds. */
import { readdirSync } from 'node:fs';
import type { CgroupPaths } from './paths.ts';
import { readKeyed, readNumber, readRows, readText, toBigInt } from './read.ts';

const memoryKeys = {
  cache: 'cache',
  rss: 'rss',
  rssHuge: 'rss_huge',
  mappedFile: 'mapped_file',
  dirty: 'dirty',
  writeback: 'writeback',
  pgPgIn: 'pgpgin',
  pgPgOut: 'pgpgout',
  pgFault: 'pgfault',
  pgMajFault: 'pgmajfault',
  inactiveAnon: 'inactive_anon',
  activeAnon: 'active_anon',
  inactiveFile: 'inactive_file',
  activeFile: 'active_file',
  unevictable: 'unevictable',
  hierarchicalMemoryLimit: 'hierarchical_memory_limit',
  hierarchicalSwapLimit: 'hierarchical_memsw_limit',
  totalCache: 'total_cache',
  totalRss: 'total_rss',
  totalRssHuge: 'total_rss_huge',
  totalMappedFile: 'total_mapped_file',
  totalDirty: 'total_dirty',
  totalWriteback: 'total_writeback',
  totalPgPgIn: 'total_pgpgin',
  totalPgPgOut: 'total_pgpgout',
  totalPgFault: 'total_pgfault',
  totalPgMajFault: 'total_pgmajfault',
  totalInactiveAnon: 'total_inactive_anon',
  totalActiveAnon: 'total_active_anon',
  totalInactiveFile: 'total_inactive_file',
  totalActiveFile: 'total_active_file',
  totalUnevictable: 'total_unevictable',
} as const;

const blkioFiles = {
  ioServiceBytesRecursive: 'io_service_bytes_recursive',
  ioServicedRecursive: 'io_serviced_recursive',
  ioQueuedRecursive: 'io_queued_recursive',
  ioServiceTimeRecursive: 'io_service_time_recursive',
  ioWaitTimeRecursive: 'io_wait_time_recursive',
  ioMergedRecursive: 'io_merged_recursive',
  ioTimeRecursive: 'time_recursive',
  sectorsRecursive: 'sectors_recursive',
} as const;

const TICK_NS = 10_000_000n; // USER_HZ is 100 on every architecture

function memoryEntry(directory: string, prefix: string) {
  return {
    limit: readNumber(`${directory}/${prefix}.limit_in_bytes`),
    usage: readNumber(`${directory}/${prefix}.usage_in_bytes`),
    max: readNumber(`${directory}/${prefix}.max_usage_in_bytes`),
    failcnt: readNumber(`${directory}/${prefix}.failcnt`),
  };
}

function memory(directory: string) {
  const stat = readKeyed(`${directory}/memory.stat`);
  const counters = Object.fromEntries(Object.entries(memoryKeys).map(([name, key]) => [name, stat(key)]));
  return {
    ...(counters as Record<keyof typeof memoryKeys, bigint>),
    usage: memoryEntry(directory, 'memory'),
    swap: memoryEntry(directory, 'memory.memsw'),
    kernel: memoryEntry(directory, 'memory.kmem'),
    kernelTcp: memoryEntry(directory, 'memory.kmem.tcp'),
  };
}

function cpu(accounting: string | undefined, bandwidth: string | undefined) {
  const times = readKeyed(`${accounting}/cpuacct.stat`);
  const throttle = readKeyed(`${bandwidth}/cpu.stat`);
  const perCpu = (readText(`${accounting}/cpuacct.usage_percpu`) ?? '').split(/\s+/).filter(Boolean);
  return {
    usage: {
      total: readNumber(`${accounting}/cpuacct.usage`),
      kernel: times('system') * TICK_NS,
      user: times('user') * TICK_NS,
      perCpu: perCpu.map(toBigInt),
    },
    throttling: {
      periods: throttle('nr_periods'),
      throttledPeriods: throttle('nr_throttled'),
      throttledTime: throttle('throttled_time'),
    },
  };
}

function blkioEntries(directory: string | undefined, name: string) {
  // the plain file names are the BFQ or CFQ scheduler's; with the others only the throttle files count
  let rows = readRows(`${directory}/blkio.${name}`);
  if (rows.length <= 1) rows = readRows(`${directory}/blkio.throttle.${name}`);
  const entries = [];
  for (const [device = '', ...rest] of rows) {
    const [major, minor] = device.split(':');
    if (minor === undefined) continue; // the line with the total
    const [op, value] = rest.length > 1 ? [rest[0] ?? '', rest[1]] : ['', rest[0]];
    entries.push({ op, device: '', major: toBigInt(major), minor: toBigInt(minor), value: toBigInt(value) });
  }
  return entries;
}

function hugetlb(directory: string | undefined) {
  if (directory === undefined) return [];
  const names = readdirSync(directory).map((name) => /^hugetlb\.(.+)\.usage_in_bytes$/.exec(name)?.[1]);
  return names
    .filter((pagesize) => pagesize !== undefined && !pagesize.endsWith('.rsvd'))
    .map((pagesize) => ({
      usage: readNumber(`${directory}/hugetlb.${pagesize}.usage_in_bytes`),
      max: readNumber(`${directory}/hugetlb.${pagesize}.max_usage_in_bytes`),
      failcnt: readNumber(`${directory}/hugetlb.${pagesize}.failcnt`),
      pagesize: pagesize ?? '',
    }));
}

/** Counters of all controllers present; a controller that is not mounted gives zeros. */
export function cgroupStatsV1(paths: CgroupPaths) {
  const at = (controller: string) => paths.controllers.get(controller);
  const memoryDirectory = at('memory');
  const oom = readKeyed(`${memoryDirectory}/memory.oom_control`);
  const blkio = Object.entries(blkioFiles).map(([name, file]) => [name, blkioEntries(at('blkio'), file)]);
  return {
    hugetlb: hugetlb(at('hugetlb')),
    pids: { current: readNumber(`${at('pids')}/pids.current`), limit: pidsLimit(at('pids')) },
    cpu: cpu(at('cpuacct'), at('cpu')),
    memory: memoryDirectory === undefined ? undefined : memory(memoryDirectory),
    blkio: Object.fromEntries(blkio) as Record<keyof typeof blkioFiles, ReturnType<typeof blkioEntries>>,
    rdma: undefined,
    network: [],
    cgroupStats: undefined,
    memoryOomControl: {
      oomKillDisable: oom('oom_kill_disable'),
      underOom: oom('under_oom'),
      oomKill: oom('oom_kill'),
    },
  };
}

// no limit is reported as 0, as containerd's own reader does
function pidsLimit(directory: string | undefined): bigint {
  const text = readText(`${directory}/pids.max`);
  return text === 'max' ? 0n : toBigInt(text);
}
