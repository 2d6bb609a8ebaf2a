/**
 * Identity of a process. A bare pid is a promise of nothing: identity is pid + start time + boot, or a pidfd.
 */
import { readFileSync } from 'node:fs';

export interface ProcessStat {
  readonly state: string; // R S D Z T t X I
  readonly parentPid: number;
  readonly sessionId: number;
  /** Field 22: clock ticks since boot at which the process started. */
  readonly startTicks: number;
  /** Field 52: wait status of a zombie (readable by root). */
  readonly waitStatus: number;
}

/** /proc/PID/stat (proc_pid_stat(5)); undefined when there is no such process. */
export function processStat(pid: number): ProcessStat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined; // ENOENT or ESRCH: gone
  }
  // the command name may hold spaces and parentheses: fields count from the last ')'
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .trimEnd()
    .split(' ');
  const field = (number: number) => Number(fields[number - 3] ?? 0);
  return {
    state: fields[0] ?? '?',
    parentPid: field(4),
    sessionId: field(6),
    startTicks: field(22),
    waitStatus: field(52),
  };
}

/** True when `pid` is still the process that started at `startTicks`, and has not ended. */
export function isProcessAlive(pid: number, startTicks: number): boolean {
  const stat = processStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && stat.state !== 'Z' && stat.state !== 'X';
}

let cachedBootId: string | undefined;

/** The kernel's id of this boot. */
export function bootId(): string {
  cachedBootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  return cachedBootId;
}

/** Children of all threads of a process (CONFIG_PROC_CHILDREN); empty when the kernel does not tell. */
export function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return []; // gone, or a kernel without the file
  }
}
