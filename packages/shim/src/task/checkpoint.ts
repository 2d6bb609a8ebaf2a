/**
 * Task Checkpoint: `runc checkpoint`, that is CRIU, into a directory. The container is stopped for it, and its output until
 * then delivered first: what is still in a pipe goes into the image too, and would be said again by what is restored from it.
 * A failure leaves the container as it was, and the directory as it was.
 */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { decodeAny, runcOptions, type shimTask } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { externalFiles, writeImageNotes } from './checkpoint-image.ts';
import type { Container } from './container.ts';
import { runCriu } from './criu.ts';
import type { Group } from './group.ts';
import { runtimeFailure } from './runtime-failure.ts';
import { checkAllowed } from './state.ts';

export async function checkpointTask(group: Group, request: shimTask.CheckpointTaskRequest): Promise<void> {
  const { id, path } = request;
  const container = group.container(id);
  const options = decodeOptions(request);
  if (!isAbsolute(path))
    throw new BoxshipError('invalidArgument', `checkpoint of ${id}: ${JSON.stringify(path)} is not an absolute path`);
  await group.turns.run(id, async () => {
    checkAllowed('checkpoint', container.init.state);
    const isFrozenForIt = container.init.state === 'running';
    mark(container, { runtimePid: 0, isFrozenForIt });
    let isOver = false;
    try {
      if (isFrozenForIt) await container.runtime.pause(id);
      await container.init.stdio?.caughtUp();
      await dump(container, path, options, (runtimePid) => mark(container, { runtimePid, isFrozenForIt }));
      isOver = options.exit;
    } catch (error) {
      throw runtimeFailure('checkpoint', error);
    } finally {
      if (isFrozenForIt && !isOver) await resume(container);
      mark(container, undefined);
    }
    group.events.checkpointed(container, path);
  });
}

function mark(container: Container, checkpoint: Container['record']['checkpoint']): void {
  container.record.checkpoint = checkpoint;
  container.save();
}

async function dump(
  container: Container,
  imagePath: string,
  options: runcOptions.CheckpointOptions,
  onSpawn: (pid: number) => void,
): Promise<void> {
  using image = imageDirectory(imagePath);
  const files = externalFiles(container);
  const taken = {
    isTcpEstablished: options.openTcp,
    isExtUnixSk: options.externalUnixSockets,
    isShellJob: options.terminal,
    isFileLocks: options.fileLocks,
    emptyNamespaces: options.emptyNamespaces,
  };
  writeImageNotes(imagePath, { version: 1, files, ...taken });
  const config = files.map(({ key }) => `external ${key}`);
  await runCriu(container, { log: 'dump.log', workPath: options.workPath, config }, (paths) =>
    container.runtime.checkpoint(container.id, {
      imagePath,
      ...paths,
      ...taken,
      isLeaveRunning: !options.exit,
      onSpawn,
    }),
  );
  image.keep();
}

/** Takes away again what comes into a directory, and the directory if it was not there, unless it is to be kept. */
function imageDirectory(path: string): Disposable & { keep(): void } {
  const made = mkdirSync(path, { recursive: true, mode: 0o700 });
  const before = new Set(readdirSync(path));
  let isKept = false;
  return {
    keep() {
      isKept = true;
    },
    [Symbol.dispose]() {
      if (isKept) return;
      if (made !== undefined) rmSync(made, { recursive: true, force: true });
      else
        for (const name of readdirSync(path))
          if (!before.has(name)) rmSync(join(path, name), { recursive: true, force: true });
    },
  };
}

async function resume(container: Container): Promise<void> {
  try {
    await container.runtime.resume(container.id);
  } catch (error) {
    // killed meanwhile: nothing is there to go on
    if (container.init.exit === undefined)
      container.log.warn('a container stopped for its checkpoint could not be let go on', { error });
  }
}

function decodeOptions(request: shimTask.CheckpointTaskRequest): runcOptions.CheckpointOptions {
  const { options } = request;
  if (options === undefined || options.typeUrl === '') return runcOptions.CheckpointOptions.decode(new Uint8Array(0));
  const decoded = decodeAny(options);
  if (decoded.kind === 'message' && decoded.name === 'containerd.runc.v1.CheckpointOptions')
    return decoded.value as runcOptions.CheckpointOptions;
  throw new BoxshipError(
    'invalidArgument',
    `options of type ${options.typeUrl}: want containerd.runc.v1.CheckpointOptions`,
  );
}
