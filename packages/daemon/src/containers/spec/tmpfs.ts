/** The options of `--tmpfs`, as mount(8) writes them. */
import { BoxshipError } from '@boxship/base';

const flags = new Set([
  'defaults', 'ro', 'rw', 'suid', 'nosuid', 'dev', 'nodev', 'exec', 'noexec', 'sync', 'async', 'dirsync', 'remount',
  'mand', 'nomand', 'atime', 'noatime', 'diratime', 'nodiratime', 'relatime', 'norelatime', 'strictatime',
  'nostrictatime', 'bind', 'rbind', 'private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave', 'unbindable',
  'runbindable',
]); // biome-ignore format: a list
const keys = new Set(['size', 'mode', 'uid', 'gid', 'nr_inodes', 'nr_blocks', 'mpol']);

/** @throws invalidArgument */
export function checkTmpfsOptions(target: string, text: string): void {
  if (!target.startsWith('/'))
    throw new BoxshipError('invalidArgument', `invalid mount path: '${target}' mount path must be absolute`);
  for (const option of text.split(',')) {
    const [key = '', value] = option.split('=', 2);
    if (option !== '' && !(value === undefined ? flags.has(option) : keys.has(key)))
      throw new BoxshipError('invalidArgument', `invalid tmpfs option ["${option}"]`);
  }
}
