/** Device nodes of a container and the cgroup rules that go with them. */
import { lstatSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import type { HostConfig } from '@boxship/engine-api';
import { splitDevice } from '@boxship/linux';
import type { RuntimeDevice, RuntimeDeviceRule } from '@boxship/oci';

export interface DevicePlan {
  readonly devices: readonly RuntimeDevice[];
  readonly rules: readonly RuntimeDeviceRule[];
}

const allow = (type: 'c' | 'b', major: number, minor: number): RuntimeDeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access: 'rwm',
});

/** null, zero, full, random, urandom are made by the runtime; these rules let them be used. fuse is refused by name. */
const defaultRules: readonly RuntimeDeviceRule[] = [
  { allow: false, access: 'rwm' },
  allow('c', 1, 5),
  allow('c', 1, 3),
  allow('c', 1, 9),
  allow('c', 1, 8),
  allow('c', 5, 0),
  allow('c', 5, 1),
  { allow: false, type: 'c', major: 10, minor: 229, access: 'rwm' },
];

/** @throws invalidArgument for a path that is no device */
export function deviceNumbers(path: string): { major: number; minor: number } {
  return splitDevice(BigInt(statOf(path).rdev));
}

function statOf(path: string): Stats {
  try {
    return statSync(path);
  } catch (error) {
    throw new BoxshipError(
      'invalidArgument',
      `error gathering device information while adding custom device "${path}": no such file or directory`,
      { cause: error },
    );
  }
}

export function planDevices(hostConfig: HostConfig): DevicePlan {
  if (hostConfig.Privileged) return { devices: hostDevices('/dev', '/dev'), rules: [{ allow: true, access: 'rwm' }] };
  const devices: RuntimeDevice[] = [];
  const rules = [...defaultRules];
  for (const mapping of hostConfig.Devices ?? []) {
    const source = mapping.PathOnHost ?? '';
    const target = mapping.PathInContainer || source;
    const access = mapping.CgroupPermissions || 'rwm';
    if (!/^[rwm]{1,3}$/.test(access)) throw new BoxshipError('invalidArgument', `invalid device mode: ${access}`);
    const found = statOf(source).isDirectory()
      ? hostDevices(realpathSync(source), target)
      : [deviceOf(source, target)].filter((device) => device !== undefined);
    if (found.length === 0)
      throw new BoxshipError(
        'invalidArgument',
        `error gathering device information while adding custom device "${source}": not a device node`,
      );
    for (const device of found) {
      devices.push(device);
      rules.push({
        allow: true,
        type: device.type === 'b' ? 'b' : 'c',
        major: device.major ?? 0,
        minor: device.minor ?? 0,
        access,
      });
    }
  }
  for (const rule of hostConfig.DeviceCgroupRules ?? []) rules.push(parseRule(rule));
  return { devices, rules };
}

function deviceOf(path: string, target: string): RuntimeDevice | undefined {
  const stat = statSync(path);
  const type = stat.isCharacterDevice() ? 'c' : stat.isBlockDevice() ? 'b' : undefined;
  if (type === undefined) return undefined;
  return {
    path: target,
    type,
    ...splitDevice(BigInt(stat.rdev)),
    fileMode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
  };
}

/** Directories that the runtime makes itself or that are no devices. */
const skipped = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev', 'console', 'hugepages']);

function hostDevices(directory: string, target: string): RuntimeDevice[] {
  const devices: RuntimeDevice[] = [];
  for (const name of readdirSync(directory)) {
    if (skipped.has(name)) continue;
    const path = `${directory}/${name}`;
    const stat = lstatSync(path);
    if (stat.isDirectory()) devices.push(...hostDevices(path, `${target}/${name}`));
    else if (!stat.isSymbolicLink()) {
      const device = deviceOf(path, `${target}/${name}`);
      if (device !== undefined) devices.push(device);
    }
  }
  return devices;
}

/** `c 1:3 rwm`, `a *:* rwm`. @throws invalidArgument */
function parseRule(text: string): RuntimeDeviceRule {
  const [, type, major, minor, access] = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined) throw new BoxshipError('invalidArgument', `invalid device cgroup rule format: '${text}'`);
  return {
    allow: true,
    type: type as 'a' | 'b' | 'c',
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access: access ?? 'rwm',
  };
}
