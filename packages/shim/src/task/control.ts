/** The verbs between start and end: pause, resume, update, terminal size, closing of input. */
import { decodeAny, type shimTask } from '@boxship/api';
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
