/** Decides the mounts of a container at its creation: `-v`, `--mount`, `--volumes-from`, and the image's VOLUMEs. */
import { existsSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { BoxshipError, randomId } from '@boxship/base';
import type { ContainerConfig, HostConfig, MountPoint, MountRequest } from '@boxship/engine-api';
import type { ContainerRecord, MountRecord } from './model.ts';

const bad = (message: string) => new BoxshipError('invalidArgument', message);
const propagations = new Set(['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave']);
const consistencies = new Set(['consistent', 'cached', 'delegated', 'default']);
const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

export interface MountPlanContext {
  readonly dataRoot: string;
  /** @throws notFound */
  readonly recordOf: (container: string) => ContainerRecord;
}

/** @throws invalidArgument */
export function planMountPoints(
  config: ContainerConfig,
  hostConfig: HostConfig,
  context: MountPlanContext,
): MountRecord[] {
  const planned = new Map<string, MountRecord>();
  for (const source of hostConfig.VolumesFrom ?? [])
    for (const mount of inherited(source, context)) planned.set(mount.destination, mount);
  const explicit = new Set<string>();
  const add = (mount: MountRecord) => {
    if (explicit.has(mount.destination)) throw bad(`Duplicate mount point: ${mount.destination}`);
    explicit.add(mount.destination);
    planned.set(mount.destination, mount);
  };
  const withDefaults = (mount: MountRecord): MountRecord =>
    mount.type === 'bind' && mount.propagation === ''
      ? { ...mount, propagation: defaultPropagation(mount.source, context.dataRoot) }
      : mount;
  for (const bind of hostConfig.Binds ?? []) add(withDefaults(parseBind(bind, hostConfig.VolumeDriver)));
  for (const mount of hostConfig.Mounts ?? []) add(withDefaults(fromRequest(mount)));
  const tmpfs = new Set(Object.keys(hostConfig.Tmpfs ?? {}).map((path) => posix.normalize(path)));
  for (const path of Object.keys(config.Volumes ?? {})) {
    const destination = checkDestination(path, () => `invalid volume specification: '${path}'`);
    if (planned.has(destination) || tmpfs.has(destination)) continue;
    planned.set(destination, {
      type: 'volume',
      name: randomId(),
      source: '',
      destination,
      driver: hostConfig.VolumeDriver || 'local',
      mode: '',
      isReadWrite: true,
      propagation: '',
      isAnonymous: true,
    });
  }
  return [...planned.values()];
}

/** A bind that contains the engine's own mounts must see them go, or it would pin them. */
function defaultPropagation(source: string, dataRoot: string): string {
  return `${dataRoot}/`.startsWith(source === '/' ? '/' : `${source}/`) ? 'rslave' : 'rprivate';
}

function checkDestination(path: string, prefix: () => string, kind = 'volume'): string {
  const why = (text: string) => bad(`${prefix()}: invalid mount config for type "${kind}": ${text}`);
  if (!path.startsWith('/')) throw why(`invalid mount path: '${path}' mount path must be absolute`);
  if (path.includes('\0')) throw why('invalid mount path');
  const clean = posix.normalize(path).replace(/(?<=.)\/+$/, '');
  if (clean === '/') throw why(`invalid specification: destination can't be '/'`);
  // a volume over /proc would let an image redirect the runtime's own writes there
  if (clean === '/proc' || clean.startsWith('/proc/')) throw why(`invalid mount path: '${path}' is inside /proc`);
  return clean;
}

function parseBind(text: string, volumeDriver: string): MountRecord {
  const invalid = () => bad(`invalid volume specification: '${text}'`);
  const parts = text.split(':');
  if (parts.length > 3 || parts.some((part) => part === '')) throw invalid();
  const [first = '', second, modes = ''] = parts;
  const source = second === undefined ? '' : first;
  const isBind = source.startsWith('/');
  const kind = isBind ? 'bind' : 'volume';
  const destination = checkDestination(second ?? first, () => `invalid volume specification: '${text}'`, kind);
  let isReadWrite = true;
  let propagation = '';
  let isNoCopy = false;
  const seen = new Set<string>();
  for (const word of modes.split(',').filter((option) => option !== '')) {
    const group = ['ro', 'rw'].includes(word)
      ? 'access'
      : ['z', 'Z'].includes(word)
        ? 'label'
        : propagations.has(word)
          ? 'propagation'
          : consistencies.has(word)
            ? 'consistency'
            : word === 'nocopy'
              ? 'copy'
              : undefined;
    if (group === undefined || seen.has(group) || (group === 'propagation' && !isBind) || (group === 'copy' && isBind))
      throw bad(`invalid mode: ${modes}`);
    seen.add(group);
    if (word === 'ro') isReadWrite = false;
    if (word === 'nocopy') isNoCopy = true;
    if (group === 'propagation') propagation = word;
  }
  if (!isBind && source !== '' && !volumeName.test(source))
    throw bad(
      `create ${source}: "${source}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  if (isBind)
    return {
      type: 'bind',
      source: posix.normalize(source),
      destination,
      mode: modes,
      isReadWrite,
      propagation,
      mayCreateSource: true,
    };
  return {
    type: 'volume',
    name: source === '' ? randomId() : source,
    source: '',
    destination,
    driver: volumeDriver || 'local',
    mode: modes === '' && source !== '' ? 'z' : modes,
    isReadWrite,
    propagation: '',
    ...(source === '' ? { isAnonymous: true } : {}),
    ...(isNoCopy ? { isNoCopy } : {}),
  };
}

function fromRequest(spec: MountRequest): MountRecord {
  const type = spec.Type ?? '';
  const why = (text: string) => bad(`invalid mount config for type "${type}": ${text}`);
  if (type !== 'bind' && type !== 'volume' && type !== 'tmpfs') throw bad(`mount type unknown: "${type}"`);
  if (!spec.Target) throw why('field Target must not be empty');
  const destination = checkDestination(spec.Target, () => 'invalid mount', type);
  const base = { destination, isReadWrite: spec.ReadOnly !== true, spec };
  if (type === 'bind') {
    if (!spec.Source) throw why('field Source must not be empty');
    if (!spec.Source.startsWith('/')) throw why(`invalid mount path: '${spec.Source}' mount path must be absolute`);
    if (spec.VolumeOptions !== undefined) throw why('field VolumeOptions must not be specified');
    const propagation = spec.BindOptions?.Propagation ?? '';
    if (propagation !== '' && !propagations.has(propagation)) throw why(`invalid propagation mode: ${propagation}`);
    const mayCreateSource = spec.BindOptions?.CreateMountpoint === true;
    if (!mayCreateSource && !existsSync(spec.Source)) throw why(`bind source path does not exist: ${spec.Source}`);
    return { ...base, type, source: posix.normalize(spec.Source), mode: '', propagation, mayCreateSource };
  }
  if (spec.BindOptions !== undefined) throw why('field BindOptions must not be specified');
  if (type === 'tmpfs') {
    if (spec.Source) throw why('field Source must not be specified');
    return { ...base, type, source: '', mode: '', propagation: '' };
  }
  const name = spec.Source ?? '';
  if (name !== '' && !volumeName.test(name))
    throw why(`invalid mount path: '${name}' mount path must be a volume name`);
  const subpath = spec.VolumeOptions?.Subpath ?? '';
  if (subpath !== '' && (subpath.startsWith('/') || subpath.split('/').includes('..')))
    throw why('subpath must be a relative path within the volume');
  return {
    ...base,
    type,
    name: name === '' ? randomId() : name,
    source: '',
    driver: spec.VolumeOptions?.DriverConfig?.Name || 'local',
    mode: 'z',
    propagation: '',
    ...(name === '' ? { isAnonymous: true } : {}),
    ...(spec.VolumeOptions?.NoCopy === true ? { isNoCopy: true } : {}),
  };
}

function inherited(text: string, context: MountPlanContext): MountRecord[] {
  const [container = '', mode = ''] = text.split(':', 2);
  if (container === '') throw bad(`malformed volumes-from specification: ${text}`);
  if (!['', 'ro', 'rw', 'z', 'Z'].includes(mode)) throw bad(`invalid mode for volumes-from: ${mode}`);
  return context.recordOf(container).mounts.map(({ isAnonymous: _, ...mount }) => ({
    ...mount,
    isReadWrite: mount.isReadWrite && mode !== 'ro',
  }));
}

/** As inspect shows it. */
export function toMountPoint(mount: MountRecord): MountPoint {
  return {
    Type: mount.type,
    ...(mount.name === undefined ? {} : { Name: mount.name }),
    Source: mount.source,
    Destination: mount.destination,
    ...(mount.driver === undefined ? {} : { Driver: mount.driver }),
    Mode: mount.mode,
    RW: mount.isReadWrite,
    Propagation: mount.propagation,
  };
}

/** @throws invalidArgument when the source of a bind is gone */
export function checkBindSource(mount: MountRecord): void {
  if (mount.type !== 'bind' || mount.mayCreateSource === true) return;
  try {
    statSync(mount.source);
  } catch (error) {
    throw new BoxshipError(
      'invalidArgument',
      `invalid mount config for type "bind": bind source path does not exist: ${mount.source}`,
      { cause: error },
    );
  }
}
