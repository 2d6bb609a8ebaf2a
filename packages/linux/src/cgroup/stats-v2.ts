/** Statistics of a version 2 cgroup, in the shape of `io.containerd.cgroups.v2.Metrics`. Times are microseconds. */
import { readdirSync } from 'node:fs';
import { readKeyed, readNumber, readRows, readText, toBigInt } from './read.ts';

const memoryKeys = [
  'anon',
  'file',
  'kernel_stack',
  'slab',
  'sock',
  'shmem',
  'file_mapped',
  'file_dirty',
  'file_writeback',
  'anon_thp',
  'inactive_anon',
  'active_anon',
  'inactive_file',
  'active_file',
  'unevictable',
  'slab_reclaimable',
  'slab_unreclaimable',
  'pgfault',
  'pgmajfault',
  'workingset_nodereclaim',
  'pgrefill',
  'pgscan',
  'pgsteal',
  'pgactivate',
  'pgdeactivate',
  'pglazyfree',
  'pglazyfreed',
  'thp_fault_alloc',
  'thp_collapse_alloc',
  'workingset_refault_anon',
  'workingset_refault_file',
  'workingset_activate_anon',
  'workingset_activate_file',
] as const;

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S;
const camel = (text: string) => text.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Pressure stall information; undefined when the kernel was built or started without it. */
function pressure(path: string) {
  const rows = readRows(path);
  const row = (kind: string) => {
    const found = rows.find(([name]) => name === kind);
    if (found === undefined) return undefined;
    const value = (key: string) => found.find((field) => field.startsWith(`${key}=`))?.slice(key.length + 1) ?? '0';
    return {
      avg10: Number(value('avg10')),
      avg60: Number(value('avg60')),
      avg300: Number(value('avg300')),
      total: toBigInt(value('total')),
    };
  };
  return rows.length === 0 ? undefined : { some: row('some'), full: row('full') };
}

function memory(directory: string) {
  const stat = readKeyed(`${directory}/memory.stat`);
  const counters = Object.fromEntries(memoryKeys.map((key) => [camel(key), stat(key)]));
  return {
    ...(counters as Record<Camel<(typeof memoryKeys)[number]>, bigint>),
    workingsetRefault: stat('workingset_refault'),
    workingsetActivate: stat('workingset_activate'),
    usage: readNumber(`${directory}/memory.current`),
    usageLimit: readNumber(`${directory}/memory.max`),
    swapUsage: readNumber(`${directory}/memory.swap.current`),
    swapLimit: readNumber(`${directory}/memory.swap.max`),
    maxUsage: readNumber(`${directory}/memory.peak`),
    swapMaxUsage: readNumber(`${directory}/memory.swap.peak`),
    psi: pressure(`${directory}/memory.pressure`),
  };
}

function io(directory: string) {
  const usage = [];
  for (const [device = '', ...fields] of readRows(`${directory}/io.stat`)) {
    const [major, minor] = device.split(':');
    if (minor === undefined) continue;
    const value = (key: string) => toBigInt(fields.find((f) => f.startsWith(`${key}=`))?.slice(key.length + 1));
    usage.push({
      major: toBigInt(major),
      minor: toBigInt(minor),
      rbytes: value('rbytes'),
      wbytes: value('wbytes'),
      rios: value('rios'),
      wios: value('wios'),
    });
  }
  return { usage, psi: pressure(`${directory}/io.pressure`) };
}

/** Counters of all controllers enabled for the cgroup; the others give zeros. */
export function cgroupStatsV2(directory: string) {
  const cpu = readKeyed(`${directory}/cpu.stat`);
  const events = readKeyed(`${directory}/memory.events`);
  const pagesizes = readdirSync(directory).map((name) => /^hugetlb\.(.+)\.current$/.exec(name)?.[1]);
  const limit = readText(`${directory}/pids.max`);
  return {
    pids: { current: readNumber(`${directory}/pids.current`), limit: limit === 'max' ? 0n : toBigInt(limit) },
    cpu: {
      usageUsec: cpu('usage_usec'),
      userUsec: cpu('user_usec'),
      systemUsec: cpu('system_usec'),
      nrPeriods: cpu('nr_periods'),
      nrThrottled: cpu('nr_throttled'),
      throttledUsec: cpu('throttled_usec'),
      nrBursts: cpu('nr_bursts'),
      burstUsec: cpu('burst_usec'),
      psi: pressure(`${directory}/cpu.pressure`),
    },
    memory: memory(directory),
    rdma: undefined,
    io: io(directory),
    hugetlb: pagesizes
      .filter((pagesize) => pagesize !== undefined && !pagesize.endsWith('.rsvd'))
      .map((pagesize) => ({
        current: readNumber(`${directory}/hugetlb.${pagesize}.current`),
        max: readNumber(`${directory}/hugetlb.${pagesize}.max`),
        pagesize: pagesize ?? '',
        failcnt: readKeyed(`${directory}/hugetlb.${pagesize}.events`)('max'),
      })),
    memoryEvents: {
      low: events('low'),
      high: events('high'),
      max: events('max'),
      oom: events('oom'),
      oomKill: events('oom_kill'),
      oomGroupKill: events('oom_group_kill'),
    },
    network: [],
  };
}
