/**
 * The start of a container that was created from a checkpoint: `runc restore`. Before it there is no process, so Create answers
 * with pid 0, as containerd's shim does. A failure leaves the container created.
 */
import { join } from 'node:path';
import { ProcessStdio } from '../io/process-stdio.ts';
import { inheritedFiles, readImageNotes } from './checkpoint-image.ts';
import type { Container } from './container.ts';
import { runCriu } from './criu.ts';
import { superviseProcess } from './exit.ts';
import type { Group } from './group.ts';
import { runtimeFailure } from './runtime-failure.ts';

export async function restoreInit(group: Group, container: Container, imagePath: string): Promise<void> {
  const { init } = container;
  // a failed attempt, or a predecessor, has taken the last along
  const context = container.stdioContext(init.record, group.options.namespace, group.options.socketDirectory);
  const stdio = init.stdio ?? (await ProcessStdio.open(init.record.stdio, context));
  init.stdio = stdio;
  init.record.phase = 'starting';
  container.save();
  try {
    await group.duringCommand(async () => {
      init.record.pid = await stdio.withRuntime((fds, consoleSocket) =>
        restore(container, imagePath, fds, consoleSocket),
      );
      superviseProcess(group, container, init);
    });
    init.record.runtimePid = 0;
  } catch (error) {
    await forget(container);
    throw runtimeFailure('restore', error);
  }
}

async function restore(
  container: Container,
  imagePath: string,
  stdio: Parameters<Parameters<ProcessStdio['withRuntime']>[0]>[0],
  consoleSocket: string | undefined,
): Promise<number> {
  const { init, bundle, record } = container;
  const notes = readImageNotes(imagePath);
  const { version: _, files: __, ...taken } = notes ?? {};
  const config = notes === undefined ? [] : inheritedFiles(notes);
  return await runCriu(container, { log: 'restore.log', workPath: '', config }, (paths) =>
    container.runtime.restore(container.id, {
      imagePath,
      ...paths,
      ...taken,
      bundle,
      pidFile: join(bundle, 'init.pid'),
      stdio,
      consoleSocket,
      isNoPivot: record.runtime.isNoPivot,
      onSpawn: (pid) => {
        init.record.runtimePid = pid;
        container.save();
      },
    }),
  );
}

/** Takes back what an attempt has left. */
export async function forget(container: Container): Promise<void> {
  const { init } = container;
  await container.runtime
    .delete(container.id, { isForced: true })
    .catch((cause: unknown) =>
      container.log.warn('what a failed restore has left could not be deleted', { error: cause }),
    );
  init.stdio?.close();
  init.stdio = undefined;
  Object.assign(init.record, { phase: 'created', pid: 0, startTicks: 0, runtimePid: 0 });
  container.save();
}
