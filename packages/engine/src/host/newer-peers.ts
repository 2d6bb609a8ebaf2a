/**
 * Debian 13's generation of the programs that the tests drive, beside Debian 12's that are installed: extracted, not
 * installed, from the mirror that apt uses, with signatures checked. Most of them run with the host's libraries; skopeo
 * needs newer ones and is started with its own.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '@boxship/base';

const libraries =
  process.arch === 'arm64'
    ? { loader: 'usr/lib/ld-linux-aarch64.so.1', path: 'usr/lib/aarch64-linux-gnu' }
    : { loader: 'usr/lib64/ld-linux-x86-64.so.2', path: 'usr/lib/x86_64-linux-gnu' };
const root = '/var/cache/boxship/debian-13';
const packages = ['docker.io', 'containerd', 'skopeo', 'docker-compose', 'docker-buildx'];
const direct = [
  'usr/sbin/dockerd',
  'usr/sbin/docker-proxy',
  'usr/bin/docker-init',
  'usr/bin/containerd',
  'usr/bin/containerd-shim-runc-v2',
  'usr/bin/ctr',
];

/** The directory for the front of PATH; undefined where the programs are not. */
export function newerPrograms(): string | undefined {
  const directory = join(root, 'bin');
  return existsSync(directory) ? directory : undefined;
}

/** Where the docker CLI finds compose and buildx: `cliPluginsExtraDirs` of its configuration. */
export const newerCliPlugins = join(root, 'usr/libexec/docker/cli-plugins');

/** Fetches them once. Without them the tests of that generation are skipped, so a failure is only told. */
export function fetchNewerPeers(print: (line: string) => void): void {
  if (newerPrograms() !== undefined) return;
  const partial = `${root}.partial`;
  try {
    rmSync(partial, { recursive: true, force: true });
    mkdirSync(partial, { recursive: true });
    const args = ['--variant=extract', `--include=${packages.join(',')}`, 'trixie', partial, mirror()];
    print(`running: mmdebstrap ${args.join(' ')}`);
    execFileSync('mmdebstrap', ['--quiet', ...args], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 600_000 });
    rmSync(root, { recursive: true, force: true });
    renameSync(partial, root);
    makePrograms();
  } catch (error) {
    print(`Debian 13's programs could not be had, tests that drive them are skipped: ${messageOf(error)}`);
  }
}

/** Of Debian itself: security updates have one of their own. */
function mirror(): string {
  const format = '$(SITE) $(CODENAME)';
  const lines = execFileSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
    encoding: 'utf8',
  }).split('\n');
  const site = lines.map((line) => line.split(' ')).find(([, codename]) => codename === 'bookworm')?.[0];
  if (site === undefined) throw new Error('apt knows no mirror of Debian 12');
  return site;
}

/** Last, so that the directory means that all is there. */
function makePrograms(): void {
  const made = join(root, 'bin.partial');
  mkdirSync(made);
  for (const path of direct) symlinkSync(join(root, path), join(made, path.split('/').at(-1) ?? path));
  const skopeo = join(made, 'skopeo');
  const command = [
    join(root, libraries.loader),
    '--library-path',
    join(root, libraries.path),
    join(root, 'usr/bin/skopeo'),
  ];
  writeFileSync(skopeo, `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`);
  chmodSync(skopeo, 0o755);
  renameSync(made, join(root, 'bin'));
}
