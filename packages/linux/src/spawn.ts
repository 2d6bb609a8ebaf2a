/**
 * Starting a program without fork(2). Node's child_process forks: that copies the page tables of a process of some sixty
 * megabytes and stops its event loop meanwhile, 2 to 8 ms for each program. posix_spawn(3) lends the memory until the exec
 * (CLONE_VM | CLONE_VFORK) and takes one, whatever the size.
 *
 * There are no pipes: the program gets descriptors or /dev/null. Where output is to be read, use execa.
 */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { check, declare, systemError } from './libc.ts';
import { closePidfd, exitStatusOfPidfd, onPidfdExit, openPidfd } from './pidfd.ts';
import { sharedPoller } from './poller.ts';
import { reapChild } from './wait.ts';

const posixSpawn = declare(
  'int posix_spawnp(void *pid, const char *file, void *actions, void *attributes, const char **argv, const char **envp)',
);
const actionsInit = declare('int posix_spawn_file_actions_init(void *actions)');
const actionsDestroy = declare('int posix_spawn_file_actions_destroy(void *actions)');
const addDuplicate = declare('int posix_spawn_file_actions_adddup2(void *actions, int fd, int target)');
const addOpen = declare(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)',
);
const addDirectory = declare('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
const attributesInit = declare('int posix_spawnattr_init(void *attributes)');
const setFlags = declare('int posix_spawnattr_setflags(void *attributes, short flags)');
const setDefaultSignals = declare('int posix_spawnattr_setsigdefault(void *attributes, void *signals)');
const fillSignals = declare('int sigfillset(void *signals)');
const fcntl = declare('int fcntl(int fd, int command, int argument)');

// glibc: 80 and 336 bytes; musl's are no larger
const ACTIONS_SIZE = 128;
const ATTRIBUTES_SIZE = 512;
const SIGNALS_SIZE = 128;
const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
const O_RDWR = 2;
const F_DUPFD_CLOEXEC = 1030;

export interface SpawnOptions {
  readonly arguments: readonly string[];
  /** The whole environment. The program itself is looked up in the PATH of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** What it has as 0, 1, 2, 3 …; undefined is /dev/null. Nothing else that is close-on-exec is open in it. */
  readonly stdio: readonly (number | undefined)[];
  readonly workingDirectory?: string | undefined;
}

export interface SpawnedProcess {
  readonly pid: number;
  /** The wait status, when it has ended and was reaped. */
  readonly ended: Promise<number>;
}

/** Starts it as leader of a session of its own, with default signals. @throws the errno of the exec: notFound, permissionDenied … */
export function spawnProcess(program: string, options: SpawnOptions): SpawnedProcess {
  const pid = spawn(program, options);
  const pidfd = openPidfd(pid); // a child that nobody has reaped
  return { pid, ended: new Promise((resolve, reject) => awaitEnd(pid, pidfd, resolve, reject)) };
}

function awaitEnd(pid: number, pidfd: number, resolve: (status: number) => void, reject: (error: unknown) => void) {
  onPidfdExit(sharedPoller(), pidfd, () => {
    try {
      const reaped = reapChild(pid);
      if (reaped.kind === 'running') {
        awaitEnd(pid, pidfd, resolve, reject);
        return;
      }
      const status = reaped.kind === 'exited' ? reaped.waitStatus : exitStatusOfPidfd(pidfd, pid);
      closePidfd(sharedPoller(), pidfd);
      if (status === undefined) throw systemError('waitpid', constants.errno.ECHILD, `process ${pid}`);
      resolve(status);
    } catch (error) {
      reject(error);
    }
  });
}

const attributes = spawnAttributes();

function spawnAttributes(): Buffer {
  const buffer = Buffer.alloc(ATTRIBUTES_SIZE);
  const signals = Buffer.alloc(SIGNALS_SIZE);
  check(-attributesInit(buffer), 'posix_spawnattr_init');
  check(fillSignals(signals), 'sigfillset');
  // Node ignores SIGPIPE, and an ignored signal stays ignored in programs; the mask stays empty as it was made
  check(-setDefaultSignals(buffer, signals), 'posix_spawnattr_setsigdefault');
  check(-setFlags(buffer, SETSIGDEF | SETSIGMASK | SETSID), 'posix_spawnattr_setflags');
  return buffer;
}

function spawn(program: string, options: SpawnOptions): number {
  const actions = Buffer.alloc(ACTIONS_SIZE);
  const duplicates: number[] = [];
  added(actionsInit(actions));
  try {
    for (const [target, fd] of options.stdio.entries()) {
      if (fd === undefined) {
        added(addOpen(actions, target, '/dev/null', O_RDWR, 0));
        continue;
      }
      // one that stands where a target will be would be overwritten before its turn
      const source = fd >= options.stdio.length ? fd : raised(fd, options.stdio.length);
      if (source !== fd) duplicates.push(source);
      added(addDuplicate(actions, source, target));
    }
    if (options.workingDirectory !== undefined) added(addDirectory(actions, options.workingDirectory));
    const pid = Buffer.alloc(4);
    const variables = Object.entries(options.env).map(([name, value]) => `${name}=${value}`);
    const argv = [program, ...options.arguments, null];
    const errno = posixSpawn(pid, program, actions, attributes, argv, [...variables, null]);
    if (errno !== 0) throw systemError('posix_spawn', errno, program);
    return pid.readInt32LE(0);
  } finally {
    for (const fd of duplicates) closeSync(fd);
    actionsDestroy(actions);
  }
}

const raised = (fd: number, lowest: number): number =>
  check(fcntl(fd, F_DUPFD_CLOEXEC, lowest), 'fcntl F_DUPFD_CLOEXEC', `fd ${fd}`);

/** These calls give the errno, not -1. */
function added(errno: number): void {
  if (errno !== 0) throw systemError('posix_spawn_file_actions', errno);
}
