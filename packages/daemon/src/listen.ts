/** Opens the sockets that `--host` names. */
import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { BoxshipError, type Logger } from '@boxship/base';
import type { DaemonConfig } from './config.ts';

/** @throws invalidArgument, unavailable when something serves there already */
export async function listenAt(server: Server, host: string, config: DaemonConfig, log: Logger): Promise<void> {
  if (host.startsWith('unix://')) return await listenUnix(server, host.slice('unix://'.length), config.group, log);
  const [, address, port = '2375'] = /^tcp:\/\/(\[[0-9a-fA-F:]+\]|[^:/]*)(?::(\d+))?\/?$/.exec(host) ?? [];
  if (address === undefined) throw new BoxshipError('invalidArgument', `cannot listen on "${host}"`);
  if (config.tls?.clientAuthority === undefined)
    log.warn('the API is served over TCP to anyone: everyone who reaches the port is root here', { host });
  await listening(server, () => server.listen(Number(port), address.replace(/^\[|\]$/g, '') || '127.0.0.1'));
}

async function listenUnix(server: Server, path: string, group: string, log: Logger): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  if (statSync(path, { throwIfNoEntry: false }) !== undefined) {
    if (await answers(path)) throw new BoxshipError('unavailable', `another process serves ${path} already`);
    rmSync(path); // left by a process that was killed
  }
  const before = process.umask(0o177); // the socket must not be open to all for an instant
  try {
    await listening(server, () => server.listen(path));
  } finally {
    process.umask(before);
  }
  const gid = groupId(group);
  if (gid === undefined) log.debug('group of the socket does not exist: only root may connect', { group });
  else chownSync(path, 0, gid);
  chmodSync(path, 0o660);
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
    listen();
  });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function groupId(name: string): number | undefined {
  const line = readFileSync('/etc/group', 'utf8')
    .split('\n')
    .find((candidate) => candidate.startsWith(`${name}:`));
  return line === undefined ? undefined : Number(line.split(':')[2]);
}
