/** `DELETE /containers/{id}`: refuses or ends a running container, then removes it. */
import { BoxshipError } from '@boxship/base';
import type { Parts } from '../parts.ts';
import { killAndWait } from './kill.ts';
import type { Container } from './model.ts';
import { type RemovalOptions, removeInTurn } from './removal.ts';

export interface RemoveOptions extends RemovalOptions {
  /** Kill it first if it runs. */
  readonly isForced?: boolean;
}

/** @throws conflict when running and not forced */
export async function removeContainer(
  parts: Parts,
  container: Container,
  shown: string,
  options: RemoveOptions,
): Promise<void> {
  if (container.record.phase === 'removing')
    throw new BoxshipError('conflict', `removal of container ${shown} is already in progress`);
  const { state } = container.record;
  if (state.Running || state.Paused) {
    if (options.isForced !== true) {
      const what = state.Paused
        ? 'container is paused and must be unpaused first'
        : state.Restarting
          ? 'container is restarting: stop the container before removing or force remove'
          : 'container is running: stop the container before removing or force remove';
      throw new BoxshipError('conflict', `cannot remove container "${shown}": ${what}`);
    }
    container.record.isManuallyStopped = true;
    container.pendingRestart?.abort();
    if (!state.Restarting) await killAndWait(parts, container);
  }
  using _turn = await parts.mutex.acquire(container.id);
  if (parts.containers.byId(container.id) === undefined) return; // `--rm` was faster
  await removeInTurn(parts, container, options);
}
