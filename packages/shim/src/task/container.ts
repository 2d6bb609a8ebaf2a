/** One container under supervision: its record, its processes, its cgroups. */
import { join } from 'node:path';
import { BoxshipError, type Logger } from '@boxship/base';
import { type CgroupPaths, cgroupsOf, isProcessAlive, processDirectory } from '@boxship/linux';
import { Runc } from '@boxship/runc-wrapper';
import type { StdioContext } from '../io/process-stdio.ts';
import { ManagedProcess } from './process.ts';
import { type ContainerRecord, type ProcessRecord, writeRecord } from './record.ts';

export class Container {
  readonly record: ContainerRecord;
  readonly init: ManagedProcess;
  readonly execs = new Map<string, ManagedProcess>();
  readonly runtime: Runc;
  readonly log: Logger;
  /** Watch for kills for want of memory, from the start on. */
  oomWatch: Disposable | undefined;
  /** Count of such kills that have been reported. */
  reportedOomKills = 0;
  #cgroups: CgroupPaths | undefined;

  constructor(record: ContainerRecord, log: Logger) {
    const [init] = record.processes;
    if (init === undefined) throw new BoxshipError('internal', `record of ${record.id} has no init`);
    this.record = record;
    this.log = log.child({ container: record.id });
    this.init = new ManagedProcess(init);
    this.runtime = new Runc({
      binary: record.runtime.binary,
      root: record.runtime.root,
      isSystemdCgroup: record.runtime.isSystemdCgroup,
      logDirectory: record.bundle,
    });
  }

  get id(): string {
    return this.record.id;
  }

  get bundle(): string {
    return this.record.bundle;
  }

  get rootfs(): string {
    return join(this.bundle, 'rootfs');
  }

  /** The cgroups of the init, remembered so that they can be read after its end. */
  get cgroups(): CgroupPaths | undefined {
    // before the start runc's init may still be on its way into its cgroups
    if (this.#cgroups === undefined && this.init.pid > 0) {
      const cgroups = cgroupsOf(this.init.pid);
      // asked afterwards: what was read was this process's, and not of one that has ended or has taken its pid
      const isOwn = isProcessAlive(this.init.pid, this.init.record.startTicks);
      if (isOwn && cgroups !== undefined && !holdsThisProcess(cgroups)) this.#cgroups = cgroups;
    }
    return this.#cgroups;
  }

  /** @throws notFound */
  process(execId: string): ManagedProcess {
    if (execId === '') return this.init;
    const exec = this.execs.get(execId);
    if (exec === undefined) throw new BoxshipError('notFound', `process does not exist ${execId}`);
    return exec;
  }

  get processes(): ManagedProcess[] {
    return [this.init, ...this.execs.values()];
  }

  /** Writes the record with the processes as they are now. */
  save(): void {
    this.record.processes = this.processes.map((process) => process.record);
    writeRecord(this.record);
  }

  /** What the names of a process' files in the bundle begin with. */
  prefixOf(process: ProcessRecord): string {
    return join(this.bundle, nameOf(process));
  }

  stdioContext(process: ProcessRecord, namespace: string, socketDirectory: string): StdioContext {
    const { ioUid, ioGid } = this.record.runtime;
    const name = nameOf(process);
    return {
      prefix: this.prefixOf(process),
      consolePrefix: process.execId === '' ? join(this.bundle, 'console') : join(this.bundle, `${name}.console`),
      socketDirectory,
      containerId: this.id,
      namespace,
      owner: ioUid === 0 && ioGid === 0 ? undefined : { uid: ioUid, gid: ioGid },
      isStdinClosed: process.isStdinClosed,
      log: this.log.child({ process: name }),
    };
  }
}

const nameOf = ({ execId }: ProcessRecord): string => (execId === '' ? 'init' : `exec-${execId}`);

/**
 * An init that has ended but is not reaped yet shows the root of every hierarchy (cgroup version 1): to kill "the
 * container's processes" there would kill the whole host. No container is in a cgroup that holds its shim.
 */
function holdsThisProcess(cgroups: CgroupPaths): boolean {
  const directory = processDirectory(cgroups);
  const own = cgroupsOf(process.pid);
  const ownDirectory = own === undefined ? undefined : processDirectory(own);
  if (directory === undefined || ownDirectory === undefined) return true;
  return `${ownDirectory}/`.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}
