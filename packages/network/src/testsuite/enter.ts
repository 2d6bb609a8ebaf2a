/** Moves this process into a namespace for good: for tests and measurements of a controller in process. */
import { closeSync, openSync } from 'node:fs';
import { check, declare } from '@boxship/linux';

const setNamespace = declare('int setns(int fd, int type)');
const CLONE_NEWNET = 0x40000000;

/** Returns what brings it home again. */
export function enterNamespace(path: string): Disposable {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const fd = openSync(path, 'r');
  check(setNamespace(fd, CLONE_NEWNET), 'setns', path);
  closeSync(fd);
  return {
    [Symbol.dispose]() {
      check(setNamespace(home, CLONE_NEWNET), 'setns', 'home');
      closeSync(home);
    },
  };
}
