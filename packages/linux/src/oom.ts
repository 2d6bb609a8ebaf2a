/**
 * Notice of kills for want of memory in a cgroup. Version 1: an eventfd registered at `cgroup.event_control`; version 2: the
 * counter `oom_kill` in `memory.events`, watched by inotify.
 */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import type { CgroupPaths } from './cgroup/paths.ts';
import { readKeyed } from './cgroup/read.ts';
import { readNow } from './fd-io.ts';
import { check, declare } from './libc.ts';
import { sharedPoller } from './poller.ts';

const eventfd = declare('int eventfd(unsigned int initval, int flags)');
const inotifyInit = declare('int inotify_init1(int flags)');
const inotifyAdd = declare('int inotify_add_watch(int fd, const char *path, uint32_t mask)');
const CLOEXEC_NONBLOCK = 0o2004000;
const IN_MODIFY = 2;
// the kernel notifies before it kills and counts (mm/memcontrol-v1.c: mem_cgroup_oom_notify)
const secondLooksMs = [5, 50, 500];

function eventFile(paths: CgroupPaths): string | undefined {
  if (paths.version === 2) return paths.unified === undefined ? undefined : `${paths.unified}/memory.events`;
  const directory = paths.controllers.get('memory');
  return directory === undefined ? undefined : `${directory}/memory.oom_control`;
}

/** How many processes were killed for want of memory so far; 0 when the cgroup is gone or has no memory controller. */
export function oomKillCount(paths: CgroupPaths): number {
  const file = eventFile(paths);
  return file === undefined ? 0 : Number(readKeyed(file)('oom_kill'));
}

/** Calls back each time the count of kills has grown. Disposing ends the watch. */
export function watchOom(paths: CgroupPaths, onKill: (count: number) => void): Disposable {
  const file = eventFile(paths);
  if (file === undefined) return { [Symbol.dispose]() {} };
  const fd = paths.version === 1 ? registerEventfd(file) : watchFile(file);
  const poller = sharedPoller();
  const buffer = Buffer.alloc(4096);
  let last = oomKillCount(paths);
  let isOpen = true;
  const arm = () =>
    poller.arm(fd, 'read', () => {
      readNow(fd, buffer);
      if (!look() && isOpen) lookAgain(secondLooksMs);
      if (isOpen) arm();
    });
  // version 1 also wakes when the cgroup is removed, version 2 for every other counter of the file
  const look = (): boolean => {
    const count = oomKillCount(paths);
    if (count <= last) return false;
    last = count;
    onKill(count);
    return true;
  };
  let timer: NodeJS.Timeout | undefined;
  const lookAgain = ([delayMs, ...rest]: readonly number[]): void => {
    if (delayMs === undefined) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (isOpen && !look()) lookAgain(rest);
    }, delayMs);
    timer.unref();
  };
  arm();
  return {
    [Symbol.dispose]() {
      if (!isOpen) return;
      isOpen = false;
      clearTimeout(timer);
      poller.remove(fd);
      closeSync(fd);
    },
  };
}

function registerEventfd(controlFile: string): number {
  const fd = check(eventfd(0, CLOEXEC_NONBLOCK), 'eventfd');
  const control = openSync(controlFile, 'r');
  try {
    writeFileSync(controlFile.replace(/memory\.oom_control$/, 'cgroup.event_control'), `${fd} ${control}`);
  } catch (error) {
    closeSync(fd);
    throw error;
  } finally {
    closeSync(control); // the kernel holds the file itself
  }
  return fd;
}

function watchFile(file: string): number {
  const fd = check(inotifyInit(CLOEXEC_NONBLOCK), 'inotify_init1');
  check(inotifyAdd(fd, file, IN_MODIFY), 'inotify_add_watch', file);
  return fd;
}
