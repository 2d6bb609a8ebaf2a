/** cgroup limits of a container. The OCI runtime turns them into version 1 or version 2 files. */
import type { HostConfig } from '@boxship/engine-api';
import type { RuntimeBlockIO, RuntimeDeviceRule, RuntimeResources } from '@boxship/oci';
import type { HostFacts } from '../../system/host-facts.ts';
import { deviceNumbers } from './devices.ts';

type Limits = Pick<
  HostConfig,
  | 'BlkioDeviceReadBps' | 'BlkioDeviceReadIOps' | 'BlkioDeviceWriteBps' | 'BlkioDeviceWriteIOps' | 'BlkioWeight'
  | 'BlkioWeightDevice' | 'CpuPeriod' | 'CpuQuota' | 'CpuRealtimePeriod' | 'CpuRealtimeRuntime' | 'CpuShares'
  | 'CpusetCpus' | 'CpusetMems' | 'Memory' | 'MemoryReservation' | 'MemorySwap' | 'MemorySwappiness' | 'NanoCpus'
  | 'OomKillDisable' | 'PidsLimit'
>; // biome-ignore format: a list

const cpuPeriodUs = 100_000;

export interface NewContainerResources {
  readonly devices: readonly RuntimeDeviceRule[];
  /** For a container that says nothing; 0 is no limit. */
  readonly defaultPidsLimit: number;
}

/** Without `created` those of an update: what is not limited is left as it is. */
export function runtimeResources(limits: Limits, host: HostFacts, created?: NewContainerResources): RuntimeResources {
  const isV2 = host.cgroupVersion === 2;
  const memory = {
    ...(limits.Memory > 0 ? { limit: limits.Memory } : {}),
    ...(limits.MemoryReservation > 0 ? { reservation: limits.MemoryReservation } : {}),
    ...(limits.MemorySwap === 0 ? {} : { swap: limits.MemorySwap }),
    ...(limits.MemorySwappiness === null || isV2 ? {} : { swappiness: limits.MemorySwappiness }),
    ...(limits.OomKillDisable === true && !isV2 ? { disableOOMKiller: true } : {}),
  };
  const cpu = {
    ...(limits.CpuShares > 0 ? { shares: limits.CpuShares } : {}),
    ...(limits.NanoCpus > 0
      ? { period: cpuPeriodUs, quota: Math.floor(limits.NanoCpus / (1e9 / cpuPeriodUs)) }
      : {
          ...(limits.CpuPeriod > 0 ? { period: limits.CpuPeriod } : {}),
          ...(limits.CpuQuota === 0 ? {} : { quota: limits.CpuQuota }),
        }),
    ...(limits.CpuRealtimePeriod > 0 ? { realtimePeriod: limits.CpuRealtimePeriod } : {}),
    ...(limits.CpuRealtimeRuntime > 0 ? { realtimeRuntime: limits.CpuRealtimeRuntime } : {}),
    ...(limits.CpusetCpus === '' ? {} : { cpus: limits.CpusetCpus }),
    ...(limits.CpusetMems === '' ? {} : { mems: limits.CpusetMems }),
  };
  // below zero the user wants none, which a running container must be told, too
  const pidsLimit = Math.max(limits.PidsLimit ?? created?.defaultPidsLimit ?? 0, -1);
  const blockIO = blockLimits(limits);
  return {
    ...(created === undefined ? {} : { devices: created.devices }),
    ...(Object.keys(memory).length === 0 ? {} : { memory }),
    ...(Object.keys(cpu).length === 0 ? {} : { cpu }),
    ...(pidsLimit === 0 ? {} : { pids: { limit: pidsLimit } }),
    ...(Object.keys(blockIO).length === 0 ? {} : { blockIO }),
  };
}

function blockLimits(limits: Limits): RuntimeBlockIO {
  const throttle = (list: Limits['BlkioDeviceReadBps']) =>
    (list ?? []).map(({ Path = '', Rate = 0 }) => ({ ...deviceNumbers(Path), rate: Rate }));
  const set = <T>(key: string, list: readonly T[]) => (list.length === 0 ? {} : { [key]: list });
  return {
    ...(limits.BlkioWeight > 0 ? { weight: limits.BlkioWeight } : {}),
    ...set(
      'weightDevice',
      (limits.BlkioWeightDevice ?? []).map(({ Path = '', Weight = 0 }) => ({ ...deviceNumbers(Path), weight: Weight })),
    ),
    ...set('throttleReadBpsDevice', throttle(limits.BlkioDeviceReadBps)),
    ...set('throttleWriteBpsDevice', throttle(limits.BlkioDeviceWriteBps)),
    ...set('throttleReadIOPSDevice', throttle(limits.BlkioDeviceReadIOps)),
    ...set('throttleWriteIOPSDevice', throttle(limits.BlkioDeviceWriteIOps)),
  };
}
