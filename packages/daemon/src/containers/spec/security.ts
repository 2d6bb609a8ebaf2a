/** Security options, masked and read-only paths. */
import { existsSync, readdirSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';

export interface SecurityOptions {
  readonly isNoNewPrivileges: boolean | undefined;
  /** 'unconfined', a profile's JSON text, or undefined for the daemon's default. */
  readonly seccomp: string | undefined;
  readonly appArmor: string | undefined;
  readonly isSystemPathsUnconfined: boolean;
  readonly isCgroupWritable: boolean;
}

/** @throws invalidArgument */
export function parseSecurityOptions(options: readonly string[]): SecurityOptions {
  let isNoNewPrivileges: boolean | undefined;
  let seccomp: string | undefined;
  let appArmor: string | undefined;
  let isSystemPathsUnconfined = false;
  let isCgroupWritable = false;
  for (const option of options) {
    const [, key = option, value] = /^([a-z-]+)[=:]([\s\S]*)$/.exec(option) ?? [];
    if (key === 'no-new-privileges') {
      if (value !== undefined && value !== 'true' && value !== 'false')
        throw new BoxshipError('invalidArgument', `invalid --security-opt 2: "${option}"`);
      isNoNewPrivileges = value !== 'false';
    } else if (key === 'writable-cgroups') isCgroupWritable = value === undefined || value === 'true';
    else if (key === 'seccomp' && value !== undefined) seccomp = value;
    else if (key === 'apparmor' && value !== undefined) appArmor = value;
    else if (key === 'systempaths' && value === 'unconfined') isSystemPathsUnconfined = true;
    else if (key === 'label' && value !== undefined)
      continue; // SELinux is off: labels change nothing
    else throw new BoxshipError('invalidArgument', `invalid --security-opt 1: "${option}"`);
  }
  return { isNoNewPrivileges, seccomp, appArmor, isSystemPathsUnconfined, isCgroupWritable };
}

const masked = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];

let thermal: string[] | undefined;

/** Paths that say more about the host than a container should know, with the per-CPU ones that exist here. */
export function maskedPaths(): string[] {
  thermal ??= readdirSync('/sys/devices/system/cpu')
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `/sys/devices/system/cpu/${name}/thermal_throttle`)
    .filter((path) => existsSync(path));
  return [...masked, ...thermal];
}

export const readonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
];
