import { join } from 'node:path';
import { BoxshipError, poll } from '@boxship/base';
import { tryLockFile } from '@boxship/linux';
import type { EnginePaths } from '../paths.ts';

/** How long the janitor of an owner that was killed may take. */
const clearingMs = 60_000;

/** Takes the locks that the parts take as processes: the two ways of running an engine exclude each other. @throws conflict */
export async function lockRoots(paths: EnginePaths, dataRoot: string): Promise<Disposable> {
  const files = [paths.lockFile, join(dataRoot, 'boxshipd.lock'), join(paths.containerdRoot, 'lock')];
  const locks = await poll({ everyMs: 50, timeoutMs: clearingMs }, () => tryLockAll(files));
  if (locks === undefined)
    throw new BoxshipError(
      'conflict',
      `another engine uses ${dataRoot}: end it, or use another directory (${clearingMs / 1000} s were waited)`,
    );
  return locks;
}

function tryLockAll(files: readonly string[]): Disposable | undefined {
  using taken = new DisposableStack();
  for (const file of files) {
    const lock = tryLockFile(file);
    if (lock === undefined) return undefined;
    taken.use(lock);
  }
  return taken.move();
}
