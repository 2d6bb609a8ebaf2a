/**
 * Bundles: the directory on which containerd and a shim meet. `<state>/io.containerd.runtime.v2.task/<namespace>/<id>/` holds
 * `config.json` (the raw specification), `rootfs/` (mounted by the shim), `work` (a link to the persistent directory) and
 * what the shim writes. Hidden names are ours: `.group-<name>` for shims of many containers, `.sandbox-<id>` for those that
 * are sandboxes, `.removed-…` for bundles on their way out. Sandboxes have bundles in a directory of their own.
 */

import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { unmountAll } from '@boxship/linux';

const runtimeDirectory = 'io.containerd.runtime.v2.task';
const sandboxDirectory = 'io.containerd.sandbox.controller.v1.shim';

export interface BundleRoots {
  /** Volatile: voided by a reboot. */
  readonly state: string;
  /** Persistent. */
  readonly root: string;
}

export interface Bundle {
  readonly namespace: string;
  readonly id: string;
  readonly path: string;
  readonly workPath: string;
}

export function bundleOf(roots: BundleRoots, namespace: string, id: string, directory = runtimeDirectory): Bundle {
  return {
    namespace,
    id,
    path: join(roots.state, directory, namespace, id),
    workPath: join(roots.root, directory, namespace, id),
  };
}

export const sandboxBundleOf = (roots: BundleRoots, namespace: string, id: string): Bundle =>
  bundleOf(roots, namespace, id, sandboxDirectory);

/** Where a shim of the group `name` is at home. */
export function groupDirectory(roots: BundleRoots, namespace: string, name: string): string {
  return join(roots.state, runtimeDirectory, namespace, `.group-${name}`);
}

/** Where the shim of a sandbox is at home: beside the bundles of its containers, which a successor looks for there. */
export function sandboxHome(roots: BundleRoots, namespace: string, id: string): string {
  return join(roots.state, runtimeDirectory, namespace, `.sandbox-${id}`);
}

/** Makes the bundle; a leftover of the same id is removed first. */
export function createBundle(bundle: Bundle, spec: Uint8Array): void {
  removeBundle(bundle);
  mkdirSync(dirname(bundle.path), { recursive: true, mode: 0o711 });
  mkdirSync(bundle.path, { mode: 0o700 });
  mkdirSync(join(bundle.path, 'rootfs'), { mode: 0o711 });
  mkdirSync(bundle.workPath, { recursive: true, mode: 0o711 });
  symlinkSync(bundle.workPath, join(bundle.path, 'work'));
  writeFileSync(join(bundle.path, 'config.json'), spec, { mode: 0o600 });
}

/**
 * Unmounts what is left and hides the directory; the files go in the background, so that nobody waits for them. What a crash
 * leaves under a hidden name is swept at the next start.
 */
export function removeBundle(bundle: Bundle): void {
  unmountAll(join(bundle.path, 'rootfs'));
  // a name of its own: the same container may start and end again before the files are gone
  const hidden = join(dirname(bundle.path), `.removed-${randomBytes(8).toString('hex')}`);
  try {
    renameSync(bundle.path, hidden);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return;
  }
  rmSync(bundle.workPath, { recursive: true, force: true });
  rm(hidden, { recursive: true, force: true }).catch(() => {}); // swept at the next start
}

/** All bundles, and removal of hidden leftovers. */
export const scanBundles = (roots: BundleRoots): Bundle[] => scan(roots, runtimeDirectory);
export const scanSandboxBundles = (roots: BundleRoots): Bundle[] => scan(roots, sandboxDirectory);

function scan(roots: BundleRoots, directory: string): Bundle[] {
  const base = join(roots.state, directory);
  const bundles: Bundle[] = [];
  for (const namespace of names(base)) {
    for (const id of names(join(base, namespace))) {
      if (!id.startsWith('.')) bundles.push(bundleOf(roots, namespace, id, directory));
      else if (!/^\.(group|sandbox)-/.test(id)) rmSync(join(base, namespace, id), { recursive: true, force: true });
    }
  }
  return bundles;
}

/** A small file of the bundle, undefined when it is not there. */
export function readBundleFile(directory: string, name: string): string | undefined {
  try {
    return readFileSync(join(directory, name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function names(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
