/**
 * The process that stays: takes over what a predecessor left, then serves the Task service for its group until Shutdown or
 * SIGTERM. Says `ready`, `busy` or an error on descriptor 3 and closes it.
 */
import { closeSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { shimSandbox, shimTask } from '@boxship/api';
import { type BoxshipError, installShutdown, type Logger, messageOf, recordSpans } from '@boxship/base';
import {
  becomeSubreaper,
  markInheritedCloseOnExec,
  peerCredentials,
  setProcessName,
  tryLockFile,
} from '@boxship/linux';
import { TtrpcServer } from '@boxship/ttrpc';
import { grpcMark, identifyGroup, socketDirectory, socketPath } from './address.ts';
import type { ShimArguments } from './arguments.ts';
import { type Protocol, wantedProtocol } from './bootstrap.ts';
import type { GrpcServer } from './grpc-server.ts';
import { TtrpcPublisher } from './publisher.ts';
import { sandboxService } from './sandbox/service.ts';
import { openShimLog } from './shim-log.ts';
import { adoptContainers } from './task/adopt.ts';
import { TaskEvents } from './task/events.ts';
import { Group } from './task/group.ts';
import { reapOrphans } from './task/orphans.ts';
import { taskService } from './task/service.ts';

const READY_FD = 3;
const FLUSH_MS = 3000;
const v3Name = 'containerd.task.v3.Task';

export async function serve(args: ShimArguments): Promise<void> {
  try {
    await run(args);
  } catch (error) {
    say(messageOf(error));
    process.exit(1);
  }
}

async function run(args: ShimArguments): Promise<void> {
  recordSpans();
  const directory = process.cwd();
  const log = openShimLog(`${directory}/log`, args.isDebug ? 'debug' : 'info').child({ shim: args.id });
  const { groupId, isWarm } = identifyGroup(directory, args.id);
  const sockets = socketDirectory();
  const path = socketPath(sockets, args.address, args.namespace, groupId);
  const lock = tryLockFile(`${path}.lock`);
  if (lock === undefined) {
    say('busy');
    process.exit(0);
  }
  becomeSubreaper();
  markInheritedCloseOnExec();
  setProcessName('boxship-shim');
  process.umask(0o022);
  const publisher = new TtrpcPublisher(process.env['TTRPC_ADDRESS'] ?? '', args.namespace, log);
  const group = new Group({
    namespace: args.namespace,
    groupId,
    socketDirectory: sockets,
    events: new TaskEvents(publisher),
    log,
    // a foreign containerd starts no successor: it cleans up after a shim that has ended
    keeperDirectory: isWarm ? directory : undefined,
  });
  const orphans = reapOrphans(group);
  const protocol = wantedProtocol();
  const server = await makeServer(protocol, log);
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    // a peer that does not read must not keep the shim: containerd waits for its end
    setTimeout(() => process.exit(0), 2 * FLUSH_MS).unref();
    group.keeper?.update(); // with no container left nothing is held any more
    await publisher.flush(FLUSH_MS);
    await server[Symbol.asyncDispose]();
    orphans[Symbol.dispose]();
    for (const file of [`${path}.lock`, grpcMark(path)]) rmSync(file, { force: true });
    lock[Symbol.dispose]();
  };
  installShutdown({ log, budgetMs: 2 * FLUSH_MS, stop: end });
  // the answer leaves first
  const endSoon = () => void setImmediate(() => void end().then(() => process.exit(0)));
  const sandbox = sandboxService({ group, directory, onShutdown: endSoon });
  const handlers = taskService({
    group,
    onShutdown: () => {
      if (!isWarm && !sandbox.isPresent()) endSoon();
    },
  });
  server.register(shimSandbox.SandboxService, sandbox);
  server.register(shimTask.TaskService, handlers);
  server.register(shimTask.TaskService, handlers, v3Name);
  await adoptContainers(group, dirname(directory));
  for (const file of [path, grpcMark(path)]) rmSync(file, { force: true }); // of a dead predecessor: the lock is ours
  if (protocol === 'grpc') writeFileSync(grpcMark(path), '');
  const mask = process.umask(0o177);
  await server.listen({ path });
  process.umask(mask);
  log.info('serving', { pid: process.pid, group: groupId, adopted: group.containers.size });
  say('ready');
}

async function makeServer(protocol: Protocol, log: Logger): Promise<TtrpcServer | GrpcServer> {
  const options = {
    authorize: (socket: Socket) => isSameUser((socket as unknown as { _handle: { fd: number } })._handle.fd),
    onError: (method: string, error: BoxshipError) => log.debug('call failed', { method, error }),
  };
  if (protocol === 'ttrpc') return new TtrpcServer({ component: 'shim', ...options });
  // HTTP/2 is loaded by the few that need it
  const { GrpcServer } = await import('./grpc-server.ts');
  return new GrpcServer(options);
}

function isSameUser(fd: number): boolean {
  const { uid } = peerCredentials(fd);
  return uid === process.getuid?.() || uid === 0;
}

function say(text: string): void {
  try {
    writeSync(READY_FD, text);
    closeSync(READY_FD);
  } catch {
    // started by hand: nobody listens on descriptor 3
  }
}
