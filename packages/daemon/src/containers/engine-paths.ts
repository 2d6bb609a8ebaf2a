/**
 * Keeps the engine's own directories out of containers: who can write there owns the host, and who can read there sees the
 * files and secrets of every container. The sockets of the API and what volumes hold are the user's to give.
 */
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import type { DaemonConfig } from '../config.ts';

/** @throws invalidArgument for a source at or below the data root or the exec root */
export function checkBindIsForeign(source: string, config: DaemonConfig): void {
  if (config.mayBindEnginePaths) return;
  const path = resolved(source);
  const sockets = config.hosts.flatMap((host) => (host.startsWith('unix://') ? [host.slice('unix://'.length)] : []));
  if (sockets.some((socket) => resolved(socket) === path)) return;
  if (isWithin(path, join(resolved(config.dataRoot), 'volumes'))) return;
  for (const root of [config.dataRoot, config.execRoot])
    if (isWithin(path, resolved(root)))
      throw new BoxshipError(
        'invalidArgument',
        `bind source ${source} belongs to the engine (${root}): start it with --allow-engine-paths to give it to containers`,
      );
}

const isWithin = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory}/`);

/** Without symbolic links, as far as it exists. */
function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === '/') throw error;
    return join(resolved(dirname(path)), path.slice(path.lastIndexOf('/') + 1));
  }
}
