/**
 * Makes sure that the host has what the engine needs. What is missing is printed with the command that installs it; as root
 * the command is run, unless `BOXSHIP_NO_INSTALL=1` forbids it.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { findPackageManager, findProgram, type HostTool, type PackageManager } from './tools.ts';

const commands: Readonly<Record<PackageManager, readonly string[]>> = {
  'apt-get': ['apt-get', 'install', '-y', '--no-install-recommends'],
  dnf: ['dnf', 'install', '-y'],
  apk: ['apk', 'add'],
  pacman: ['pacman', '-S', '--noconfirm', '--needed'],
};

export interface PreflightOptions {
  readonly tools: readonly HostTool[];
  readonly print: (line: string) => void;
  /** Services of newly installed packages are not started: the tests start their own. */
  readonly keepServicesStopped?: boolean;
}

/** @throws failedPrecondition naming what is missing and how to get it */
export function preflight(options: PreflightOptions): void {
  const missing = options.tools.filter((tool) => findProgram(tool.name) === undefined);
  if (missing.length === 0) return;
  const manager = findPackageManager();
  const names = missing.map((tool) => `${tool.name} (${tool.reason})`).join(', ');
  if (manager === undefined)
    throw new BoxshipError('failedPrecondition', `this host lacks ${names}: install them with its package manager`);
  const packages = [...new Set(missing.map((tool) => tool.packages[manager]))];
  const command = [...commands[manager], ...packages];
  const line = command.join(' ');
  if (process.getuid?.() !== 0)
    throw new BoxshipError('failedPrecondition', `this host lacks ${names}. Install as root: ${line}`);
  if (process.env['BOXSHIP_NO_INSTALL'] === '1')
    throw new BoxshipError(
      'failedPrecondition',
      `this host lacks ${names}, and BOXSHIP_NO_INSTALL=1 is set. Install: ${line}`,
    );
  options.print(`this host lacks ${names}`);
  options.print(`running: ${line}   (BOXSHIP_NO_INSTALL=1 refuses this)`);
  install(manager, command, options.keepServicesStopped ?? false);
  const still = missing.filter((tool) => findProgram(tool.name) === undefined);
  if (still.length > 0)
    throw new BoxshipError(
      'failedPrecondition',
      `after installing, ${still.map((tool) => tool.name).join(', ')} is still missing`,
    );
}

// Debian asks this file before it starts a service of a package that is being installed
const policyFile = '/usr/sbin/policy-rc.d';

function install(manager: PackageManager, command: readonly string[], keepServicesStopped: boolean): void {
  const isPolicyOurs = manager === 'apt-get' && keepServicesStopped && !existsSync(policyFile);
  if (isPolicyOurs) {
    writeFileSync(policyFile, '#!/bin/sh\nexit 101\n');
    chmodSync(policyFile, 0o755);
  }
  try {
    // package lists may be missing or old on a fresh machine
    if (manager === 'apt-get') run(['apt-get', 'update', '-qq']);
    run(command);
  } finally {
    if (isPolicyOurs) rmSync(policyFile, { force: true });
  }
}

function run(command: readonly string[]): void {
  const [program = '', ...args] = command;
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    encoding: 'utf8',
  });
  if (error !== undefined)
    throw new BoxshipError('unavailable', `${program} could not be run: ${error.message}`, { cause: error });
  if (status !== 0)
    throw new BoxshipError(
      'unavailable',
      `${command.join(' ')} ended with status ${status}:\n${`${stdout}${stderr}`.trim().split('\n').slice(-15).join('\n')}`,
    );
}
