/** Subvolumes of btrfs (btrfs-ioctl(2)): made, snapshotted and removed by name in an open directory. */
import { closeSync, constants, openSync, statfsSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { check, declare } from './libc.ts';

const ioctl = declare('int ioctl(int fd, unsigned long request, void *argument)');
const SUBVOL_CREATE = 0x5000_940e;
const SNAP_DESTROY = 0x5000_940f;
const SNAP_CREATE_V2 = 0x5000_9417;
const SUBVOL_RDONLY = 2n;
const BTRFS_SUPER_MAGIC = 0x9123683e;

/** struct btrfs_ioctl_vol_args: fd (s64), name; struct btrfs_ioctl_vol_args_v2: fd, transid, flags, four words, name. */
const argumentBytes = 4096;
const nameAt = 8;
const flagsAt = 16;
const nameAtV2 = 56;
const maxNameBytes = 255;

/** Whether a path lies on btrfs. */
export const isOnBtrfs = (path: string): boolean => statfsSync(path).type === BTRFS_SUPER_MAGIC;

export function createSubvolume(directory: string, name: string): void {
  withDirectory(directory, (fd) => {
    check(ioctl(fd, SUBVOL_CREATE, argumentOf(name, nameAt)), 'ioctl BTRFS_IOC_SUBVOL_CREATE', name);
  });
}

/** A subvolume with what `source` holds now; the data are shared. */
export function snapshotSubvolume(
  source: string,
  directory: string,
  name: string,
  options: { readonly isReadOnly?: boolean } = {},
): void {
  withDirectory(source, (sourceFd) =>
    withDirectory(directory, (fd) => {
      const argument = argumentOf(name, nameAtV2);
      argument.writeBigInt64LE(BigInt(sourceFd), 0);
      argument.writeBigUInt64LE(options.isReadOnly === true ? SUBVOL_RDONLY : 0n, flagsAt);
      check(ioctl(fd, SNAP_CREATE_V2, argument), 'ioctl BTRFS_IOC_SNAP_CREATE_V2', name);
    }),
  );
}

/** Its space is freed in the background. */
export function deleteSubvolume(directory: string, name: string): void {
  withDirectory(directory, (fd) => {
    check(ioctl(fd, SNAP_DESTROY, argumentOf(name, nameAt)), 'ioctl BTRFS_IOC_SNAP_DESTROY', name);
  });
}

function argumentOf(name: string, at: number): Buffer {
  const bytes = Buffer.from(name);
  if (bytes.length === 0 || bytes.length > maxNameBytes || name.includes('/'))
    throw new BoxshipError('invalidArgument', `${JSON.stringify(name)} is no name of a subvolume`);
  const argument = Buffer.alloc(argumentBytes);
  bytes.copy(argument, at);
  return argument;
}

function withDirectory<T>(path: string, work: (fd: number) => T): T {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}
