/**
 * What a successor must know, in the bundle: `shim.json` per container, `exit.json` (`exec-<id>.exit.json`) per ended
 * process. Written before the step that it describes; everything else is found out from the kernel. A reboot voids both, as
 * the boot id shows.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomicSync } from '@boxship/base';
import type { MountSpec } from '@boxship/linux';
import type { StdioRequest } from '../io/process-stdio.ts';

/** How far a process has come. `creating` and `starting` are intents: the runtime may or may not have done it. */
export type Phase = 'creating' | 'created' | 'starting' | 'running' | 'stopped';

export interface ProcessRecord {
  /** Empty for the init. */
  readonly execId: string;
  phase: Phase;
  /** 0 until the runtime has told it. */
  pid: number;
  startTicks: number;
  /** The runtime command under way, to be ended by a successor. */
  runtimePid: number;
  readonly stdio: StdioRequest;
  isStdinClosed: boolean;
}

/** The record of a process that Create or Exec asks for; `execId` is empty for the init. */
export function newProcess(
  execId: string,
  request: { stdin: string; stdout: string; stderr: string; terminal: boolean },
): ProcessRecord {
  const { stdin, stdout, stderr, terminal } = request;
  return {
    execId,
    phase: 'creating',
    pid: 0,
    startTicks: 0,
    runtimePid: 0,
    stdio: { stdin, stdout, stderr, isTerminal: terminal },
    isStdinClosed: false,
  };
}

export interface RuntimeSettings {
  readonly binary: string;
  /** Directory of the runtime's state for this namespace. */
  readonly root: string;
  readonly isSystemdCgroup: boolean;
  readonly isNoPivot: boolean;
  readonly isNoNewKeyring: boolean;
  readonly ioUid: number;
  readonly ioGid: number;
}

export interface ContainerRecord {
  readonly version: 1;
  readonly group: string;
  readonly namespace: string;
  readonly id: string;
  readonly bundle: string;
  readonly bootId: string;
  readonly runtime: RuntimeSettings;
  readonly rootfs: readonly Omit<MountSpec, 'target'>[];
  readonly hasOwnPidNamespace: boolean;
  /** Directory of the image of CRIU from which the start restores the init; until then there is no process. */
  readonly restoreFrom?: string;
  /** A checkpoint under way. */
  checkpoint?: CheckpointRecord | undefined;
  processes: ProcessRecord[];
}

export interface CheckpointRecord {
  /** The runtime command. 0 before it has started. */
  readonly runtimePid: number;
  /** Nobody has asked for a pause: the container goes on afterwards. */
  readonly isFrozenForIt: boolean;
}

/** The end of a process. Nanoseconds as decimal text: they do not fit into a JSON number. */
export interface ExitRecord {
  readonly pid: number;
  readonly startTicks: number;
  readonly exitStatus: number;
  readonly exitedAt: string;
  readonly oom: boolean;
  /** Set when nobody could learn the real status. */
  readonly isLost?: boolean;
}

const recordName = 'shim.json';
const volatile = { mode: 0o600, isDurable: false } as const;

export const exitPath = (bundle: string, execId: string): string =>
  join(bundle, execId === '' ? 'exit.json' : `exec-${execId}.exit.json`);

export function writeRecord(record: ContainerRecord): void {
  writeFileAtomicSync(join(record.bundle, recordName), JSON.stringify(record), volatile);
}

export function removeRecord(bundle: string): void {
  rmSync(join(bundle, recordName), { force: true });
}

export function writeExit(bundle: string, execId: string, exit: ExitRecord): void {
  writeFileAtomicSync(exitPath(bundle, execId), JSON.stringify(exit), volatile);
}

/** Undefined when the process has not ended, or nobody has recorded it. */
export function readExit(bundle: string, execId: string): ExitRecord | undefined {
  const value = readJson<ExitRecord>(exitPath(bundle, execId));
  return value === undefined ? undefined : { ...value, exitedAt: String(value.exitedAt) };
}

export function readRecord(bundle: string): ContainerRecord | undefined {
  const record = readJson<ContainerRecord>(join(bundle, recordName));
  return record?.version === 1 ? record : undefined;
}

/** The records of all bundles beside each other in `directory` that belong to `group`. */
export function findRecords(directory: string, group: string): ContainerRecord[] {
  const found: ContainerRecord[] = [];
  for (const name of readdirSync(directory)) {
    if (name.startsWith('.')) continue; // being removed, or the group's own directory
    const record = readRecord(join(directory, name));
    if (record?.group === group) found.push(record);
  }
  return found;
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined; // absent, or torn by a power cut: the boot it belonged to is over then
  }
}
