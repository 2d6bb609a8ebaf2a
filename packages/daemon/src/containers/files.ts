/** The files that the engine keeps for a container: where they are, and those whose content does not depend on a network. */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@boxship/base';
import { isMountPoint, mount, unmount } from '@boxship/linux';
import type { DaemonConfig } from '../config.ts';
import type { ContainerRecord } from './model.ts';

export interface ContainerFiles {
  readonly directory: string;
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
  readonly attachSocket: string;
  readonly stdin: string;
  /** Where the shared memory of a container with shareable IPC is mounted. */
  readonly shm: string;
}

export function containerFiles(config: DaemonConfig, id: string): ContainerFiles {
  const directory = join(config.dataRoot, 'containers', id);
  const run = join(config.execRoot, 'attach');
  return {
    directory,
    hostname: join(directory, 'hostname'),
    hosts: join(directory, 'hosts'),
    resolvConf: join(directory, 'resolv.conf'),
    // a socket path has at most 107 bytes, so the short id names it
    attachSocket: join(run, `${id.slice(0, 12)}.sock`),
    stdin: join(run, `${id.slice(0, 12)}.stdin`),
    shm: join(directory, 'mounts/shm'),
  };
}

export const jsonLogPath = (config: DaemonConfig, id: string): string =>
  join(containerFiles(config, id).directory, `${id}-json.log`);

export function makeContainerDirectory(config: DaemonConfig, id: string): void {
  mkdirSync(containerFiles(config, id).directory, { recursive: true, mode: 0o710 });
}

/** Writes the host name; makes hosts and resolv.conf exist, so that they can be mount sources whoever fills them. */
export function writeIdentityFiles(config: DaemonConfig, record: ContainerRecord): void {
  const files = containerFiles(config, record.id);
  const { Hostname, Domainname } = record.config;
  writeFileSync(files.hostname, `${Domainname === '' ? Hostname : `${Hostname}.${Domainname}`}\n`);
  for (const path of [files.hosts, files.resolvConf]) writeFileSync(path, '', { flag: 'a' });
  for (const path of [files.hostname, files.hosts, files.resolvConf]) chmodSync(path, 0o644); // whatever the umask
}

/** Shared memory that other containers may join: the host mounts it, because a mount of a container cannot be bound. */
export function mountSharedMemory(config: DaemonConfig, record: ContainerRecord): void {
  const { shm } = containerFiles(config, record.id);
  mkdirSync(shm, { recursive: true, mode: 0o700 });
  if (isMountPoint(shm)) return;
  const options = ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${record.hostConfig.ShmSize}`];
  mount({ type: 'tmpfs', source: 'shm', target: shm, options });
}

/** Removes what lives as long as a run. */
export function removeRunFiles(config: DaemonConfig, id: string): void {
  const files = containerFiles(config, id);
  for (const path of [files.stdin, files.attachSocket]) rmSync(path, { force: true });
  unmount(files.shm, { isLazy: true }); // false where none is mounted
}

/** Removes the container's directory. Nobody waits for it: a start of the daemon removes what is left. */
export function removeContainerDirectory(config: DaemonConfig, id: string, log: Logger): void {
  rm(containerFiles(config, id).directory, { recursive: true, force: true }).catch((error: unknown) =>
    log.error('directory of a removed container is left', { container: id, error }),
  );
}

/** Removes the directories of containers that are no more. */
export function sweepContainerDirectories(config: DaemonConfig, isKnown: (id: string) => boolean, log: Logger): void {
  const root = join(config.dataRoot, 'containers');
  if (!existsSync(root)) return;
  for (const id of readdirSync(root)) if (!isKnown(id)) removeContainerDirectory(config, id, log);
}
