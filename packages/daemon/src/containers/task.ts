/** The container's task in containerd: made, started, ended. The only file that puts a container's task calls together. */

import { join } from 'node:path';
import { encodeAny, encodeJsonAny, runcOptions, typeUrls } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { RuntimeSpec } from '@boxship/oci';
import type { Parts } from '../parts.ts';
import { containerFiles } from './files.ts';
import { containerLogUri } from './log/uri.ts';
import type { Container } from './model.ts';

/** On containerd's container records: which daemon made them. */
export const containerLabel = 'io.boxship.daemon';
const createTimeoutMs = 120_000;
const deleteTimeoutMs = 30_000;

export function runtimeOptions(parts: Parts, runtime: string) {
  const path = parts.config.runtimes[runtime] ?? runtime;
  return encodeAny('containerd.runc.v1.Options', runcOptions.Options, {
    ...runcOptions.Options.decode(new Uint8Array()),
    binaryName: path === 'runc' ? '' : path,
    root: join(parts.config.execRoot, 'runtime-runc'),
  });
}

const ignoreNotFound = (error: unknown) => {
  if (!BoxshipError.is(error, 'notFound')) throw error;
};

/** Registers the container and makes its task; gives the init's pid. Nothing of the user's has run yet. */
export async function createTask(parts: Parts, container: Container, spec: RuntimeSpec): Promise<number> {
  const { record } = container;
  const { containers, tasks } = parts.containerd;
  const options = runtimeOptions(parts, record.hostConfig.Runtime);
  const registration = {
    container: {
      id: record.id,
      labels: { [containerLabel]: parts.config.dataRoot },
      image: '',
      runtime: { name: parts.config.containerdRuntime, options },
      spec: encodeJsonAny(typeUrls.spec, spec),
      snapshotter: record.snapshotter,
      snapshotKey: record.id,
      createdAt: undefined,
      updatedAt: undefined,
      extensions: {},
      sandbox: '',
    },
  };
  try {
    await containers.create(registration);
  } catch (error) {
    if (!BoxshipError.is(error, 'alreadyExists')) throw error;
    await deleteTask(parts, container); // what a start that was cut off has left
    await containers.create(registration);
  }
  const uri = containerLogUri(parts.config, record);
  const { pid } = await tasks.create(
    {
      containerId: record.id,
      rootfs: record.rootMounts.map((mount) => ({ ...mount, options: [...mount.options] })),
      stdin: record.config.OpenStdin ? containerFiles(parts.config, record.id).stdin : '',
      stdout: uri,
      // a terminal has one stream only
      stderr: record.config.Tty ? '' : uri,
      terminal: record.config.Tty,
      options,
    },
    { timeoutMs: createTimeoutMs },
  );
  return pid;
}

/** Ends and forgets the task and the registration, whatever state they are in. Idempotent. */
export async function deleteTask(parts: Parts, container: { readonly id: string }): Promise<void> {
  await endTask(parts, container.id);
  await forgetRegistration(parts, container.id);
}

/** Ends the task if it lives, and forgets it. Idempotent. */
export async function endTask(parts: Parts, containerId: string): Promise<void> {
  const { tasks } = parts.containerd;
  const remove = () => tasks.delete({ containerId }, { timeoutMs: deleteTimeoutMs });
  try {
    await remove();
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return;
    // still alive: a task can only be deleted after its init has ended
    await tasks.kill({ containerId, signal: 9, all: true }).catch(ignoreNotFound);
    await tasks.wait({ containerId }, { timeoutMs: deleteTimeoutMs }).catch(ignoreNotFound);
    await remove().catch(ignoreNotFound);
  }
}

/** Removes containerd's record of the container. Idempotent. */
export async function forgetRegistration(parts: Parts, id: string): Promise<void> {
  await parts.containerd.containers.delete({ id }).catch(ignoreNotFound);
}
