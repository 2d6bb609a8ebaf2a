/** `-v`, `--mount` and `--tmpfs`. */
import { resolve } from 'node:path';
import { BoxshipError, parseSize } from '@boxship/base';
import type { MountRequest } from '@boxship/engine-api';

const fail = (message: string): never => {
  throw new BoxshipError('invalidArgument', message);
};

/** Splits `-v`: anonymous volumes and binds; relative sources are made absolute here, as docker does. */
export function parseVolumes(values: readonly string[]): { volumes: Record<string, object>; binds: string[] } {
  const volumes: Record<string, object> = {};
  const binds: string[] = [];
  for (const value of values) {
    const parts = value.split(':');
    if (value === '') fail('invalid empty volume spec');
    if (parts.length === 1) volumes[value] = {};
    else {
      const [source = '', ...rest] = parts;
      const isPath = source.startsWith('.') || source.startsWith('~');
      const absolute = isPath ? resolve(source.replace(/^~(?=\/|$)/, process.env['HOME'] ?? '~')) : source;
      binds.push([absolute, ...rest].join(':'));
    }
  }
  return { volumes, binds };
}

export function parseTmpfs(values: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    values.map((value) => {
      const at = value.indexOf(':');
      return at < 0 ? [value, ''] : [value.slice(0, at), value.slice(at + 1)];
    }),
  );
}

/** One `--mount`, comma-separated `key=value`. @throws invalidArgument in docker's words */
export function parseMount(text: string): MountRequest {
  const mount: MountRequest = { Type: 'volume' };
  const bind: NonNullable<MountRequest['BindOptions']> = {};
  const volume: NonNullable<MountRequest['VolumeOptions']> = {};
  const tmpfs: NonNullable<MountRequest['TmpfsOptions']> = {};
  const labels: Record<string, string> = {};
  const driverOptions: Record<string, string> = {};
  for (const field of text.split(',')) {
    const at = field.indexOf('=');
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    const value = at < 0 ? undefined : field.slice(at + 1);
    const yes = () => value === undefined || parseBool(value, key);
    if (['readonly', 'ro'].includes(key)) {
      mount.ReadOnly = yes();
      continue;
    }
    if (key === 'volume-nocopy') {
      volume.NoCopy = yes();
      continue;
    }
    if (key === 'bind-nonrecursive') {
      bind.NonRecursive = yes();
      continue;
    }
    if (value === undefined) return fail(`invalid field '${field}' must be a key=value pair`);
    const pair = () => value.split(/=(.*)/s).slice(0, 2) as [string, string];
    if (key === 'type') mount.Type = value.toLowerCase();
    else if (['source', 'src'].includes(key)) mount.Source = value.startsWith('.') ? resolve(value) : value;
    else if (['target', 'dst', 'destination'].includes(key)) mount.Target = value;
    else if (key === 'consistency') mount.Consistency = value.toLowerCase();
    else if (key === 'bind-propagation') bind.Propagation = value.toLowerCase();
    else if (key === 'volume-subpath') volume.Subpath = value;
    else if (key === 'volume-label') labels[pair()[0]] = pair()[1] ?? '';
    else if (key === 'volume-driver') volume.DriverConfig = { ...volume.DriverConfig, Name: value };
    else if (key === 'volume-opt') driverOptions[pair()[0]] = pair()[1] ?? '';
    else if (key === 'tmpfs-size') tmpfs.SizeBytes = parseSize(value);
    else if (key === 'tmpfs-mode') tmpfs.Mode = Number.parseInt(value, 8);
    else return fail(`unexpected key '${key}' in '${field}'`);
  }
  if (Object.keys(labels).length > 0) volume.Labels = labels;
  if (Object.keys(driverOptions).length > 0) volume.DriverConfig = { ...volume.DriverConfig, Options: driverOptions };
  for (const [type, options] of [
    ['bind', bind],
    ['volume', volume],
    ['tmpfs', tmpfs],
  ] as const)
    if (Object.keys(options).length > 0 && mount.Type !== type)
      return fail(`cannot mix '${type}-*' options with mount type '${mount.Type}'`);
  if (Object.keys(bind).length > 0) mount.BindOptions = bind;
  if (Object.keys(volume).length > 0) mount.VolumeOptions = volume;
  if (Object.keys(tmpfs).length > 0) mount.TmpfsOptions = tmpfs;
  if (mount.Target === undefined) return fail('target is required');
  return mount;
}

function parseBool(text: string, key: string): boolean {
  if (/^(1|t|true)$/i.test(text)) return true;
  if (/^(0|f|false)$/i.test(text)) return false;
  return fail(`invalid value for ${key}: ${text}`);
}
