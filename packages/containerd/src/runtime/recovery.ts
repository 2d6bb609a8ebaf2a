/**
 * Start-up: every bundle on disk is a task again, or is cleaned away. Shims that answer are connected; groups whose shim is
 * gone get a successor, which adopts the containers; single shims that are gone are cleaned up after, with their events.
 */
import type { shimTask } from '@boxship/api';
import { BoxshipError, type Logger, messageOf } from '@boxship/base';
import { type Bundle, type BundleRoots, readBundleFile, removeBundle, scanBundles } from './bundle.ts';
import { InitHolder } from './init-holder.ts';
import { type Shim, SingleShim } from './shim.ts';
import type { ShimManager } from './shim-manager.ts';
import type { TaskManager } from './task-manager.ts';

export interface RecoveryOptions {
  readonly roots: BundleRoots;
  readonly shims: ShimManager;
  readonly tasks: TaskManager;
  readonly defaultShim: string;
  readonly log: Logger;
}

/** Brings all tasks back; one that cannot be had does not hold up the others. */
export async function recoverTasks(options: RecoveryOptions): Promise<void> {
  await Promise.all(
    scanBundles(options.roots).map(async (bundle) => {
      try {
        await recoverBundle(options, bundle);
      } catch (error) {
        options.log.error('a bundle could not be recovered', {
          namespace: bundle.namespace,
          id: bundle.id,
          error: messageOf(error),
        });
      }
    }),
  );
}

async function recoverBundle(options: RecoveryOptions, bundle: Bundle): Promise<void> {
  const { shims, tasks } = options;
  const binary = readBundleFile(bundle.path, 'shim-binary-path') ?? options.defaultShim;
  const group = readBundleFile(bundle.path, 'group');
  const address = readBundleFile(bundle.path, 'address')?.trim() ?? '';
  let shim: Shim;
  if (group !== undefined) {
    shim = shims.group(binary, bundle.namespace, group);
  } else {
    try {
      shim = await shims.reconnect(binary, address, bundle.path);
    } catch (error) {
      options.log.warn('the shim of a task is gone', { id: bundle.id, error: messageOf(error) });
      await tasks.cleanUp(bundle, binary);
      return;
    }
  }
  const state = await stateOf(shim, bundle.id);
  if (state === undefined) {
    // the container was never created, or was deleted and only the directory is left
    if (shim instanceof SingleShim) await tasks.cleanUp(bundle, binary);
    else removeBundle(bundle);
    return;
  }
  tasks.adopt({ bundle, shim, pid: state.pid, holder: new InitHolder(bundle.path, state.pid) });
}

async function stateOf(shim: Shim, id: string): Promise<shimTask.StateResponse | undefined> {
  try {
    return await shim.call({ operation: 'State', id, timeoutMs: 10_000, isRepeatable: true }, (client) =>
      client.state({ id, execId: '' }),
    );
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
}
