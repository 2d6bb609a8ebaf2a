/**
 * Starting a container. The network sandbox is made while the specification is put together; the task is created, waiting
 * attachments connect to its output, and only then the user's program runs. A failure undoes everything in reverse.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BoxshipError, failPoint } from '@boxship/base';
import { processStat } from '@boxship/linux';
import { nowRfc3339, zeroTime } from '../clock.ts';
import { publishEndpointEvents } from '../networks/events.ts';
import { checkLinks, linkedEnvironment } from '../networks/links.ts';
import { sandboxSpec, usesSandbox } from '../networks/sandbox-spec.ts';
import type { Parts } from '../parts.ts';
import { checkBindIsForeign } from './engine-paths.ts';
import { type ContainerFiles, containerFiles, mountSharedMemory, removeRunFiles, writeIdentityFiles } from './files.ts';
import { startHealthMonitor } from './health.ts';
import { type Container, type ContainerRecord, eventAttributes, type SandboxRecord } from './model.ts';
import { checkBindSource } from './mount-points.ts';
import { openProcessInput } from './process-input.ts';
import { removeInTurn } from './removal.ts';
import { readAccountFiles } from './rootfs-files.ts';
import { buildSpec } from './spec/build.ts';
import { containerOfMode, type NamespaceContext } from './spec/namespaces.ts';
import type { AccountFiles } from './spec/user.ts';
import { startFailure } from './start-error.ts';
import { createTask, deleteTask } from './task.ts';
import { publishVolumeEvents } from './volume-mounts.ts';

/** @throws notModified when running; conflict when paused or being removed; the runtime's failure */
export async function startContainer(parts: Parts, container: Container): Promise<void> {
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  if (record.state.Paused) throw new BoxshipError('conflict', 'cannot start a paused container, try unpause instead');
  if (record.state.Running && !record.state.Restarting)
    throw new BoxshipError('notModified', `container ${container.id} is running already`);
  if (record.phase === 'removing' || record.state.Dead)
    throw new BoxshipError('conflict', 'container is marked for removal and cannot be started');
  container.pendingRestart?.abort();
  container.pendingRestart = undefined;
  record.isManuallyStopped = false;
  record.restartCount = 0;
  container.restartDelayMs = 0;
  await launch(parts, container);
}

/** The start itself, in the container's turn. */
export async function launch(parts: Parts, container: Container): Promise<void> {
  const { record } = container;
  record.isStarting = true;
  container.hasTaskExited = false;
  container.hasOomEvent = false;
  parts.containers.save(container);
  try {
    await failPoint('start.recorded');
    await run(parts, container);
  } catch (error) {
    throw await failed(parts, container, error);
  }
  publishVolumeEvents(parts, container, 'mount');
  parts.events.publish('container', 'start', container.id, eventAttributes(record));
  startHealthMonitor(parts, container);
}

async function run(parts: Parts, container: Container): Promise<void> {
  const { record } = container;
  checkLinks(parts, record);
  await using undo = new AsyncDisposableStack();
  const sandboxing = makeSandbox(parts, container, undo);
  sandboxing.catch(() => {}); // awaited below; if preparation fails first, that error is the one to report
  let sandbox: SandboxRecord | undefined;
  let accounts: AccountFiles;
  try {
    await nextTurn(); // the request for the sandbox is on its way before files are prepared
    undo.defer(() => removeRunFiles(parts.config, container.id));
    prepareFiles(parts, container);
    accounts = readAccountFiles(record.rootMounts);
  } finally {
    sandbox = await sandboxing;
  }
  const spec = specOf(parts, container, sandbox, accounts);
  record.sandbox = sandbox;
  if (record.config.OpenStdin) {
    const input = openProcessInput(containerFiles(parts.config, container.id).stdin);
    container.stdin = input;
    undo.defer(() => input.close());
  }
  undo.defer(() => deleteTask(parts, container));
  const pid = await createTask(parts, container, spec);
  const startTicks = processStat(pid)?.startTicks ?? 0; // it waits for its start, so it lives
  await failPoint('start.task-created');
  const attachments = [...container.attachments];
  await Promise.all(attachments.map((attachment) => attachment.connect()));
  await parts.containerd.tasks.start({ containerId: container.id });
  for (const attachment of attachments) attachment.started();
  await failPoint('start.task-started');
  record.state = {
    ...record.state,
    Status: 'running',
    Running: true,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: pid,
    ExitCode: 0,
    Error: '',
    StartedAt: nowRfc3339(),
    FinishedAt: record.state.FinishedAt,
  };
  record.pidStartTicks = startTicks;
  record.hasBeenStarted = true;
  record.isStarting = false;
  parts.containers.save(container);
  undo.move();
}

async function makeSandbox(
  parts: Parts,
  container: Container,
  undo: AsyncDisposableStack,
): Promise<SandboxRecord | undefined> {
  if (!usesSandbox(parts, container.record)) return undefined;
  const network = parts.network;
  if (network === undefined)
    throw new BoxshipError(
      'unavailable',
      `no network service is configured: container ${container.record.name} can only use --network none or host`,
    );
  undo.defer(() => network.removeSandbox(container.id));
  const sandbox = await network.createSandbox(sandboxSpec(parts, container.record)).catch((error: unknown) => {
    // `unknown` is the runtime's word, which Docker's clients are shown behind the text
    const { kind, message } = BoxshipError.from(error);
    throw kind === 'unknown' ? new BoxshipError('internal', message, { cause: error }) : error;
  });
  publishEndpointEvents(parts, container.id, sandbox.endpoints, 'connect');
  undo.defer(() => publishEndpointEvents(parts, container.id, sandbox.endpoints, 'disconnect'));
  return {
    id: sandbox.id,
    namespacePath: sandbox.namespacePath,
    endpoints: sandbox.endpoints,
    // those of routed networks take no number of the host: they count as exposed, not as published
    ports: sandbox.ports.filter(({ hostPort }) => hostPort !== 0),
  };
}

function prepareFiles(parts: Parts, container: Container): void {
  const { record } = container;
  mkdirSync(join(parts.config.execRoot, 'attach'), { recursive: true, mode: 0o700 });
  writeIdentityFiles(parts.config, record);
  if (record.hostConfig.IpcMode === 'shareable') mountSharedMemory(parts.config, record);
  for (const mount of record.mounts) {
    checkBindSource(mount);
    // again: a link may lead elsewhere by now
    if (mount.type === 'bind') checkBindIsForeign(mount.source, parts.config);
    // what is there stays what it is: a file, a socket, a directory
    if (mount.type === 'bind' && mount.mayCreateSource === true && !existsSync(mount.source))
      mkdirSync(mount.source, { recursive: true, mode: 0o755 });
    if (mount.type === 'volume' && mount.name !== undefined) {
      const volume = parts.volumes.get(mount.name);
      const device = volume.options?.['device'] ?? '';
      if (device.startsWith('/')) checkBindIsForeign(device, parts.config);
      parts.volumes.prepare(volume);
    }
  }
}

function specOf(parts: Parts, container: Container, sandbox: SandboxRecord | undefined, accounts: AccountFiles) {
  const { record } = container;
  return buildSpec({
    record,
    config: parts.config,
    host: parts.host,
    files: filesOf(parts, record),
    mounts: record.mounts,
    accounts,
    linkedEnvironment: linkedEnvironment(parts, record),
    namespaces: { network: networkOf(record.hostConfig.NetworkMode, sandbox), pidOf: (name) => pidOf(parts, name) },
    shmSource: shmOf(parts, record),
    seccompProfile: parts.config.seccompProfile === 'builtin' ? undefined : parts.config.seccompProfile,
  });
}

/** Who joins another's network has its names too. */
function filesOf(parts: Parts, record: ContainerRecord): ContainerFiles {
  const joined = containerOfMode(record.hostConfig.NetworkMode);
  return containerFiles(parts.config, joined === undefined ? record.id : parts.containers.get(joined).id);
}

function networkOf(mode: string, sandbox: SandboxRecord | undefined): NamespaceContext['network'] {
  if (mode === 'host') return 'host';
  return sandbox === undefined ? 'new' : { path: sandbox.namespacePath };
}

/** @throws conflict when it does not run */
function pidOf(parts: Parts, name: string): number {
  const { record } = parts.containers.get(name);
  if (!record.state.Running || record.state.Pid === 0)
    throw new BoxshipError('conflict', `cannot join network of a non running container: ${record.id}`);
  return record.state.Pid;
}

/** The host's /dev/shm, the container's own where it can be shared, or that of the container whose IPC is joined. */
function shmOf(parts: Parts, record: ContainerRecord): string | undefined {
  const mode = record.hostConfig.IpcMode;
  if (mode === 'host') return '/dev/shm';
  if (mode === 'shareable') return containerFiles(parts.config, record.id).shm;
  const other = containerOfMode(mode);
  if (other === undefined) return undefined;
  const donor = parts.containers.get(other);
  pidOf(parts, other);
  if (donor.record.hostConfig.IpcMode !== 'shareable')
    throw new BoxshipError(
      'invalidArgument',
      `cannot join IPC of container ${donor.id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)`,
    );
  return containerFiles(parts.config, donor.id).shm;
}

async function failed(parts: Parts, container: Container, cause: unknown): Promise<BoxshipError> {
  const { record } = container;
  const { exitCode, error } = startFailure(cause);
  parts.log.warn('container did not start', { container: container.id, error });
  container.stdin = undefined;
  record.sandbox = undefined;
  record.isStarting = false;
  record.state = {
    ...record.state,
    Status: record.hasBeenStarted ? 'exited' : 'created',
    Running: false,
    Restarting: false,
    Pid: 0,
    ExitCode: exitCode,
    Error: error.message,
    FinishedAt: record.hasBeenStarted ? nowRfc3339() : zeroTime,
  };
  parts.containers.save(container);
  for (const attachment of container.attachments) attachment.abandon();
  container.waiters.exited({ exitCode, error: error.message });
  if (record.hostConfig.AutoRemove) {
    await removeInTurn(parts, container, { removeVolumes: true }).catch((removeError: unknown) =>
      parts.log.error('container that did not start could not be removed', {
        container: container.id,
        error: removeError,
      }),
    );
  }
  return error;
}
