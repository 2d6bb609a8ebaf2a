/** Local volumes: a directory below the data root, or a mount described by options; names are unique for the whole engine. */
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { removeTree } from '@boxship/archive';
import { BoxshipError, type Logger, randomId } from '@boxship/base';
import type { VolumeCreateRequest } from '@boxship/engine-api';
import { isMountPoint, mount, unmount } from '@boxship/linux';

export interface Volume {
  readonly name: string;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly options: Readonly<Record<string, string>> | null;
  readonly mountpoint: string;
  /** RFC 3339, seconds. */
  readonly createdAt: string;
  readonly isAnonymous: boolean;
}

export interface VolumeStore {
  list(): readonly Volume[];
  /** @throws notFound `get X: no such volume` */
  get(name: string): Volume;
  /** Gives the existing volume if there is one of that name. @throws conflict when it has another driver */
  create(request: VolumeCreateRequest): { readonly volume: Volume; readonly isNew: boolean };
  /** Removes the data too. The caller has made sure that nobody uses it. */
  remove(name: string): void;
  /** Makes the volume's directory usable; mounts what its options say. */
  prepare(volume: Volume): void;
}

/** Not a legal volume name. */
const removedPrefix = '.removed-';
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const knownOptions = new Set(['type', 'o', 'device', 'size']);

export function createVolumeStore(database: DatabaseSync, dataRoot: string, log: Logger): VolumeStore {
  const root = join(dataRoot, 'volumes');
  mkdirSync(root, { recursive: true, mode: 0o701 });
  const insert = database.prepare('INSERT INTO volumes (name, record) VALUES (?, ?)');
  const remove = database.prepare('DELETE FROM volumes WHERE name = ?');
  const volumes = new Map<string, Volume>();
  for (const row of database.prepare('SELECT record FROM volumes').all()) {
    const volume = JSON.parse(String(row['record'])) as Volume;
    volumes.set(volume.name, volume);
  }
  const sweep = () => {
    for (const entry of readdirSync(root))
      if (entry.startsWith(removedPrefix))
        removeTree(join(root, entry)).catch((error: unknown) =>
          log.error('volume data was not removed', { entry, error }),
        );
  };
  sweep();
  return {
    list: () => [...volumes.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    get(name) {
      const volume = volumes.get(name);
      if (volume === undefined) throw new BoxshipError('notFound', `get ${name}: no such volume`);
      return volume;
    },
    create(request) {
      const isAnonymous = !request.Name;
      const name = request.Name || randomId();
      const driver = request.Driver || 'local';
      const existing = volumes.get(name);
      if (existing !== undefined) {
        if (existing.driver !== driver)
          throw new BoxshipError(
            'conflict',
            `create ${name}: conflict: driver "${existing.driver}" already has volume "${name}"`,
          );
        return { volume: existing, isNew: false };
      }
      checkName(name);
      if (driver !== 'local')
        throw new BoxshipError(
          'notFound',
          `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
        );
      const options = checkOptions(request.DriverOpts ?? {});
      const labels = { ...request.Labels, ...(isAnonymous ? { 'com.docker.volume.anonymous': '' } : {}) };
      const volume: Volume = {
        name,
        driver,
        labels: request.Labels === undefined && !isAnonymous ? null : labels,
        options: Object.keys(options).length === 0 ? null : options,
        mountpoint: join(root, name, '_data'),
        createdAt: `${new Date().toISOString().slice(0, 19)}Z`,
        isAnonymous,
      };
      insert.run(name, JSON.stringify(volume));
      volumes.set(name, volume);
      makeDirectory(volume);
      return { volume, isNew: true };
    },
    remove(name) {
      const volume = volumes.get(name);
      if (volume === undefined) throw new BoxshipError('notFound', `get ${name}: no such volume`);
      while (isMountPoint(volume.mountpoint)) unmount(volume.mountpoint, { isLazy: true });
      // out of sight at once; the data goes in a worker, or at the next start
      if (existsSync(join(root, name))) renameSync(join(root, name), join(root, `${removedPrefix}${randomId()}`));
      remove.run(name);
      volumes.delete(name);
      sweep();
    },
    prepare(volume) {
      makeDirectory(volume);
      const { type, device, o } = volume.options ?? {};
      if (type === undefined || device === undefined || isMountPoint(volume.mountpoint)) return;
      const options = (o ?? '').split(',').filter((option) => option !== '');
      mount({ type: options.includes('bind') ? 'bind' : type, source: device, target: volume.mountpoint, options });
      log.debug('volume mounted', { volume: volume.name, type });
    },
  };
}

function makeDirectory(volume: Volume): void {
  if (existsSync(volume.mountpoint)) return;
  mkdirSync(volume.mountpoint, { recursive: true, mode: 0o755 });
  chmodSync(volume.mountpoint, 0o755); // whatever the umask
  chmodSync(join(volume.mountpoint, '..'), 0o701);
}

function checkName(name: string): void {
  if (namePattern.test(name) && name.length <= 255) return;
  throw new BoxshipError(
    'invalidArgument',
    name.length < 2
      ? 'volume name is too short, names should be at least two alphanumeric characters'
      : `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
  );
}

function checkOptions(options: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const key of Object.keys(options))
    if (!knownOptions.has(key)) throw new BoxshipError('invalidArgument', `create: invalid option: "${key}"`);
  if (options['device'] !== undefined && options['type'] === undefined)
    throw new BoxshipError('invalidArgument', 'create: missing required option: "type"');
  return options;
}
