/** The files that the engine keeps for a container: where they are, and those whose content does not depend on a network. */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@boxship/base';
import type { DaemonConfig } from '../config.ts';
import type { ContainerRecord } from './model.ts';

export interface ContainerFiles {
  readonly directory: string;
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
  readonly attachSocket: string;
  readonly stdin: string;
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

/** Removes what lives as long as a run. */
export function removeRunFiles(config: DaemonConfig, id: string): void {
  const files = containerFiles(config, id);
  for (const path of [files.stdin, files.attachSocket]) rmSync(path, { force: true });
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
