/**
 * The end of a process. Order: status taken from the kernel, other processes of a shared pid namespace ended, exit file
 * written, output delivered (at most two seconds), and only then whoever waits is answered and the event queued.
 */
import { atMost, messageOf } from '@boxship/base';
import {
  cgroupPids,
  closePidfd,
  exitCodeOf,
  exitStatusOfPidfd,
  onPidfdExit,
  oomKillCount,
  openPidfd,
  processStat,
  reapChild,
  sharedPoller,
} from '@boxship/linux';
import type { Container } from './container.ts';
import type { Group } from './group.ts';
import type { ManagedProcess } from './process.ts';
import { type ExitRecord, writeExit } from './record.ts';

/** An init waits this long for the exits of its execs to be reported first. */
const EXECS_FIRST_MS = 3000;
/** Reported when no party can tell the real status. */
const LOST_STATUS = 255;

/** Nanoseconds since 1970 of a time of `performance.now()`. */
const wallNs = (at: number): bigint => BigInt(Math.round((performance.timeOrigin + at) * 1000)) * 1000n;
export const nowNs = (): bigint => wallNs(performance.now());

/** Begins to watch a process by its pid; also one that has ended already but not been reaped. */
export function superviseProcess(group: Group, container: Container, process: ManagedProcess): void {
  const { record } = process;
  process.pidfd = openPidfd(record.pid);
  record.startTicks = processStat(record.pid)?.startTicks ?? 0;
  watch(group, container, process, process.pidfd);
  group.keeper?.changed();
}

/** Watches a process of a predecessor through a handle opened by the caller. */
export function watch(group: Group, container: Container, process: ManagedProcess, pidfd: number): void {
  process.pidfd = pidfd;
  // of many that end together, each has its own time: the work on one keeps nobody from noticing the others
  onPidfdExit(sharedPoller(), pidfd, (endedAt) => group.exits.add(() => takeExit(group, container, process, endedAt)));
}

function takeExit(group: Group, container: Container, process: ManagedProcess, endedAt: number): void {
  const { pidfd } = process;
  if (pidfd === undefined) return;
  const status = takeStatus(process.pid, pidfd);
  if (status === 'running') {
    watch(group, container, process, pidfd);
    return;
  }
  closePidfd(sharedPoller(), pidfd);
  process.pidfd = undefined;
  group.keeper?.changed();
  finishExit(group, container, process, status, endedAt).catch((error: unknown) =>
    container.log.error('exit could not be reported', { error: messageOf(error), exec: process.execId }),
  );
}

/** A wait status; `lost` when the kernel cannot tell any more. */
function takeStatus(pid: number, pidfd: number): number | 'running' | 'lost' {
  const reaped = reapChild(pid);
  if (reaped.kind === 'exited') return reaped.waitStatus;
  if (reaped.kind === 'running') return 'running';
  return exitStatusOfPidfd(pidfd, pid) ?? 'lost';
}

/** Records and reports the end. */
export async function finishExit(
  group: Group,
  container: Container,
  process: ManagedProcess,
  waitStatus: number | 'lost',
  endedAt = performance.now(),
): Promise<void> {
  const exit: ExitRecord = {
    pid: process.pid,
    startTicks: process.record.startTicks,
    exitStatus: waitStatus === 'lost' ? LOST_STATUS : exitCodeOf(waitStatus),
    exitedAt: String(wallNs(endedAt)),
    oom: reportOom(group, container),
    ...(waitStatus === 'lost' && { isLost: true }),
  };
  if (process === container.init && !container.record.hasOwnPidNamespace) killRest(container);
  record(container, () => writeExit(container.bundle, process.execId, exit));
  await reportExit(group, container, process, exit);
}

/** The second half: for an end that is on record already (a successor finds it so). */
export async function reportExit(
  group: Group,
  container: Container,
  process: ManagedProcess,
  exit: ExitRecord,
): Promise<void> {
  await process.starting;
  process.exit = exit;
  process.state = 'stopped';
  process.record.phase = 'stopped';
  record(container, () => container.save());
  if (process === container.init) {
    container.oomWatch?.[Symbol.dispose]();
    await execsFirst(container);
  }
  await process.stdio?.drain();
  process.settleExit(exit);
  group.events.exited(container, process, exit);
}

/** A full disk must not keep an exit from being told: then only a successor would not find it. */
function record(container: Container, write: () => void): void {
  try {
    write();
  } catch (error) {
    container.log.error('exit could not be recorded', { error: messageOf(error) });
  }
}

async function execsFirst(container: Container): Promise<void> {
  const live = [...container.execs.values()].filter((exec) => exec.pidfd !== undefined || exec.exit !== undefined);
  if (live.length === 0) return;
  await atMost(EXECS_FIRST_MS, Promise.all(live.map((exec) => exec.exited)));
}

/** Publishes kills for want of memory that no notice has arrived for yet; whether there were any in all. */
export function reportOom(group: Group, container: Container): boolean {
  const { cgroups } = container;
  const count = cgroups === undefined ? 0 : oomKillCount(cgroups);
  if (count > container.reportedOomKills) {
    container.reportedOomKills = count;
    group.events.oom(container);
  }
  return container.reportedOomKills > 0;
}

/** Without a pid namespace of its own the kernel does not end the others with the init. */
function killRest(container: Container): void {
  const { cgroups } = container;
  if (cgroups === undefined) return;
  for (const pid of cgroupPids(cgroups)) {
    try {
      globalThis.process.kill(pid, 'SIGKILL');
    } catch {
      // ended by itself
    }
  }
}
