/** Task Stats and Pids: read from the cgroup's files, never from the runtime. */
import { type Any, cgroups1, cgroups2, encodeAny, runcOptions, type taskTypes } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { cgroupPids, cgroupStatsV1, cgroupStatsV2 } from '@boxship/linux';
import type { Group } from './group.ts';

export function taskStats(group: Group, id: string): Any {
  const { cgroups } = group.container(id);
  if (cgroups === undefined) throw new BoxshipError('notFound', `cgroup of ${id} does not exist`);
  if (cgroups.version === 1)
    return encodeAny('io.containerd.cgroups.v1.Metrics', cgroups1.Metrics, cgroupStatsV1(cgroups));
  if (cgroups.unified === undefined) throw new BoxshipError('notFound', `cgroup of ${id} does not exist`);
  return encodeAny('io.containerd.cgroups.v2.Metrics', cgroups2.Metrics, cgroupStatsV2(cgroups.unified));
}

export function taskPids(group: Group, id: string): taskTypes.ProcessInfo[] {
  const container = group.container(id);
  const execs = new Map([...container.execs.values()].map((exec) => [exec.pid, exec.execId]));
  const pids = container.cgroups === undefined ? [] : cgroupPids(container.cgroups);
  return pids.map((pid) => {
    const execId = execs.get(pid);
    if (execId === undefined) return { pid, info: undefined };
    return { pid, info: encodeAny('containerd.runc.v1.ProcessDetails', runcOptions.ProcessDetails, { execId }) };
  });
}
