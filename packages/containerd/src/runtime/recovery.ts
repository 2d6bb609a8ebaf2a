/**
 * Start-up: every bundle on disk is a sandbox or a task again, or is cleaned away. Shims that answer are connected; groups whose shim is
 * gone get a successor, which adopts the containers; single shims that are gone are cleaned up after, with their events.
 */
import type { shimTask } from '@boxship/api';
import { BoxshipError, type Logger, messageOf } from '@boxship/base';
import {
  type Bundle,
  type BundleRoots,
  readBundleFile,
  removeBundle,
  scanBundles,
  scanSandboxBundles,
} from './bundle.ts';
import { InitHolder } from './init-holder.ts';
import type { SandboxManager } from './sandbox-manager.ts';
import { rejoinSandbox } from './sandbox-task.ts';
import { GroupShim, isShimGone, type Shim, SingleShim } from './shim.ts';
import type { ShimManager } from './shim-manager.ts';
import type { TaskManager } from './task-manager.ts';

export interface RecoveryOptions {
  readonly roots: BundleRoots;
  readonly shims: ShimManager;
  readonly tasks: TaskManager;
  readonly sandboxes: SandboxManager;
  readonly defaultShim: string;
  readonly log: Logger;
}

/** Brings all sandboxes and tasks back; one that cannot be had does not hold up the others. */
export async function recoverTasks(options: RecoveryOptions): Promise<void> {
  await recoverEach(options, scanSandboxBundles(options.roots), recoverSandbox);
  await recoverEach(options, scanBundles(options.roots), recoverBundle);
}

async function recoverEach(
  options: RecoveryOptions,
  bundles: readonly Bundle[],
  recover: (options: RecoveryOptions, bundle: Bundle) => Promise<void>,
): Promise<void> {
  await Promise.all(
    bundles.map(async (bundle) => {
      try {
        await recover(options, bundle);
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

async function recoverSandbox(options: RecoveryOptions, bundle: Bundle): Promise<void> {
  const { shims, sandboxes } = options;
  const { namespace, id, path } = bundle;
  const binary = readBundleFile(path, 'shim-binary-path') ?? options.defaultShim;
  const address = readBundleFile(path, 'address')?.trim() ?? '';
  let shim: Shim | undefined;
  try {
    shim = shims.isGrouping(binary)
      ? shims.sandbox(binary, namespace, id)
      : await shims.reconnect(binary, address, path);
    const call = { operation: 'SandboxStatus', isRepeatable: true, timeoutMs: 10_000 };
    await sandboxes.call({ bundle, shim }, call, (client) => client.sandboxStatus({ sandboxId: id, verbose: false }));
  } catch (error) {
    const isGone = BoxshipError.is(error, 'notFound') || isShimGone(error);
    if (shim instanceof GroupShim) {
      if (isGone) await endGroup(shims, shim);
    } else await shim?.close();
    if (!isGone) throw error; // a shim that hangs: its containers live, the next start may find it better
    options.log.warn('a sandbox is gone', { namespace, id, error: messageOf(error) });
    await sandboxes.cleanUp(bundle, binary);
    return;
  }
  sandboxes.adopt({ bundle, shim });
}

async function endGroup(shims: ShimManager, shim: GroupShim): Promise<void> {
  await shim.end();
  shims.forget(shim);
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
      const joined = await rejoinSandbox(options.sandboxes, bundle, binary);
      shim = joined ?? (await shims.reconnect(binary, address, bundle.path));
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
