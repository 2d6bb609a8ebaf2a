/** Limits as Docker checks them, for create and update alike. Units as on the wire: bytes, NanoCpus. */
import { BoxshipError } from '@boxship/base';
import type { ContainerUpdateRequest } from '@boxship/engine-api';
import type { HostFacts } from '../system/host-facts.ts';

const minimumMemory = 6 * 1024 * 1024;
const bad = (message: string) => new BoxshipError('invalidArgument', message);

export interface CheckedLimits {
  readonly memorySwap: number;
  readonly swappiness: number | null;
  readonly pidsLimit: number | null;
}

/** @throws invalidArgument */
export function checkLimits(request: ContainerUpdateRequest, host: HostFacts): CheckedLimits {
  const memory = request.Memory ?? 0;
  const swap = request.MemorySwap ?? 0;
  if (memory < 0 || (memory !== 0 && memory < minimumMemory)) throw bad('Minimum memory limit allowed is 6MB');
  if (memory === 0 && swap > 0)
    throw bad('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (memory > 0 && swap > 0 && swap < memory)
    throw bad('Minimum memoryswap limit should be larger than memory limit, see usage');
  const reservation = request.MemoryReservation ?? 0;
  if (reservation > 0 && reservation < minimumMemory) throw bad('Minimum memory reservation allowed is 6MB');
  if (memory > 0 && reservation > 0 && memory < reservation)
    throw bad('Minimum memory limit can not be less than memory reservation limit, see usage');
  const swappiness = request.MemorySwappiness;
  if (swappiness !== undefined && (swappiness < -1 || swappiness > 100))
    throw bad(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  checkCpu(request, host);
  const weight = request.BlkioWeight ?? 0;
  if (weight !== 0 && (weight < 10 || weight > 1000)) throw bad('Range of blkio weight is from 10 to 1000');
  const pids = request.PidsLimit;
  return {
    memorySwap: memory > 0 && swap === 0 ? 2 * memory : swap,
    swappiness: swappiness === undefined || swappiness === -1 ? null : swappiness,
    pidsLimit: pids === undefined || pids === 0 ? null : pids,
  };
}

function checkCpu(request: ContainerUpdateRequest, host: HostFacts): void {
  const nanoCpus = request.NanoCpus ?? 0;
  const period = request.CpuPeriod ?? 0;
  const quota = request.CpuQuota ?? 0;
  if (nanoCpus !== 0 && period !== 0) throw bad('Conflicting options: Nano CPUs and CPU Period cannot both be set.');
  if (nanoCpus !== 0 && quota !== 0) throw bad('Conflicting options: Nano CPUs and CPU Quota cannot both be set.');
  if (nanoCpus < 0 || nanoCpus > host.cpuCount * 1e9)
    throw bad(`Range of CPUs is from 0.01 to ${host.cpuCount}.00, as there are only ${host.cpuCount} CPUs available`);
  if (period !== 0 && (period < 1000 || period > 1_000_000))
    throw bad('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (quota > 0 && quota < 1000) throw bad('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if ((request.CpuShares ?? 0) < 0)
    throw bad(`invalid CPU shares (${request.CpuShares}): value must be a positive integer`);
  checkCpuset('CPUs', 'cpus', request.CpusetCpus ?? '', host.cpusetCpus);
  checkCpuset('memory nodes', 'mems', request.CpusetMems ?? '', host.cpusetMems);
}

function checkCpuset(what: string, name: string, value: string, available: string): void {
  if (value === '') return;
  if (!/^\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*$/.test(value)) throw bad(`Invalid value ${value} for cpuset ${name}`);
  if (available === '') return; // a kernel without cpusets: the runtime tells
  const has = ranges(available);
  // each range must lie within one of the kernel's, which are as wide as can be
  if (!ranges(value).every(([first, last]) => has.some(([from, to]) => from <= first && last <= to)))
    throw bad(`Requested ${what} are not available - requested ${value}, available: ${available}`);
}

/** `0-2,7` as pairs of first and last. */
const ranges = (list: string): [first: number, last: number][] =>
  list.split(',').map((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return [first, last];
  });
