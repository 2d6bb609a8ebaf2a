/**
 * Which process is a part: pid, start time and boot, so that a later supervisor takes over the running part instead of
 * starting a second one, and never mistakes a stranger with the same pid for it.
 */
import { readFileSync, rmSync } from 'node:fs';
import { BoxshipError, writeFileAtomicSync } from '@boxship/base';
import { bootId, openPidfd, processStat } from '@boxship/linux';

interface ProcessRecord {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
}

export function writeProcessRecord(path: string, pid: number): void {
  const record: ProcessRecord = { pid, startTicks: processStat(pid)?.startTicks ?? 0, bootId: bootId() };
  writeFileAtomicSync(path, JSON.stringify(record), { isDurable: false });
}

/** The recorded process, if it still runs: its pid and a handle that the caller closes. */
export function openRecordedProcess(path: string): { pid: number; pidfd: number } | undefined {
  let record: ProcessRecord;
  try {
    record = JSON.parse(readFileSync(path, 'utf8')) as ProcessRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const stat = processStat(record.pid);
  if (record.bootId !== bootId() || stat === undefined || stat.state === 'Z' || stat.startTicks !== record.startTicks) {
    rmSync(path, { force: true });
    return undefined;
  }
  try {
    return { pid: record.pid, pidfd: openPidfd(record.pid) };
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined; // ended between the two looks
    throw error;
  }
}
