/** The verbs between start and end: pause, resume, update, checkpoint, terminal size, closing of input. */
import { decodeAny, runcOptions, type shimTask } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { RuntimeResources } from '@boxship/oci';
import { heldName } from '../keeper/holdings.ts';
import type { Group } from './group.ts';
import { runtimeFailure } from './runtime-failure.ts';
import { checkAllowed } from './state.ts';

export async function pauseTask(group: Group, id: string): Promise<void> {
  const container = group.container(id);
  await group.turns.run(id, async () => {
    checkAllowed('pause', container.init.state);
    await container.runtime.pause(id).catch((error: unknown) => {
      throw runtimeFailure('pause', error);
    });
    if (container.init.state === 'running') container.init.state = 'paused';
    group.events.paused(container);
  });
}

export async function resumeTask(group: Group, id: string): Promise<void> {
  const container = group.container(id);
  await group.turns.run(id, async () => {
    checkAllowed('resume', container.init.state);
    await container.runtime.resume(id).catch((error: unknown) => {
      throw runtimeFailure('resume', error);
    });
    // a SIGKILL sent meanwhile works only now: the state may be `stopped` already
    if (container.init.state === 'paused') container.init.state = 'running';
    group.events.resumed(container);
  });
}

export async function updateTask(group: Group, request: shimTask.UpdateTaskRequest): Promise<void> {
  const container = group.container(request.id);
  const decoded = request.resources === undefined ? undefined : decodeAny(request.resources);
  if (decoded?.kind !== 'json')
    throw new BoxshipError(
      'invalidArgument',
      `update of ${request.id}: want resources of the OCI specification as JSON`,
    );
  await group.turns.run(request.id, async () => {
    checkAllowed('update', container.init.state);
    await container.runtime.update(request.id, decoded.value as RuntimeResources).catch((error: unknown) => {
      throw runtimeFailure('update', error);
    });
  });
}

export async function checkpointTask(group: Group, request: shimTask.CheckpointTaskRequest): Promise<void> {
  const container = group.container(request.id);
  const decoded = request.options === undefined ? undefined : decodeAny(request.options);
  const options =
    decoded?.kind === 'message' && decoded.name === 'containerd.runc.v1.CheckpointOptions'
      ? (decoded.value as runcOptions.CheckpointOptions)
      : runcOptions.CheckpointOptions.decode(new Uint8Array(0));
  await group.turns.run(request.id, async () => {
    checkAllowed('checkpoint', container.init.state);
    try {
      await container.runtime.checkpoint(request.id, {
        imagePath: request.path,
        ...(options.workPath !== '' && { workPath: options.workPath }),
        isLeaveRunning: !options.exit,
        isTcpEstablished: options.openTcp,
        isExtUnixSk: options.externalUnixSockets,
        isShellJob: options.terminal,
        isFileLocks: options.fileLocks,
        emptyNamespaces: options.emptyNamespaces,
      });
    } catch (error) {
      throw runtimeFailure('checkpoint', error);
    }
    group.events.checkpointed(container, request.path);
  });
}

/** Without a terminal it does nothing, as containerd's shim. */
export function resizeTerminal(group: Group, request: shimTask.ResizePtyRequest): void {
  const process = group.container(request.id).process(request.execId);
  checkAllowed('resize', process.state);
  process.stdio?.resize({ rows: request.height, columns: request.width });
}

/** Idempotent; also before the start. */
export function closeInput(group: Group, request: shimTask.CloseIORequest): void {
  if (!request.stdin) return;
  const container = group.container(request.id);
  const process = container.process(request.execId);
  process.record.isStdinClosed = true;
  container.save();
  process.stdio?.closeStdin();
  // a writer's end held elsewhere would keep the end of the input from the container
  group.keeper?.drop(heldName(request.id, request.execId, 'stdin'));
}
