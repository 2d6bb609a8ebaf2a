/**
 * Reads a small file out of a root file system that is not mounted: from its overlay layers, top to bottom, or from a bind
 * source. Each component is looked up in the merged view, and nothing is followed out of the layers: a link in an image never
 * leads to a file of the host.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, readSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { getXattr, openInRoot, resolveFlags } from '@boxship/linux';
import type { RootMount } from './model.ts';
import type { AccountFiles } from './spec/user.ts';

const maxFileBytes = 4 * 1024 * 1024;
const maxLinks = 16;

/** The directories of a root file system, topmost first. */
export function layerDirectories(mounts: readonly RootMount[]): string[] {
  const [mount] = mounts;
  if (mount === undefined) return [];
  if (mount.type !== 'overlay') return [mount.source];
  const option = (name: string) => mount.options.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const upper = option('upperdir');
  return [...(upper === undefined ? [] : [upper]), ...(option('lowerdir') ?? '').split(':')].filter(
    (path) => path !== '',
  );
}

/** The file's text; undefined if it does not exist. @throws resourceExhausted for a file beyond 4 MiB */
export function readRootFile(directories: readonly string[], path: string): string | undefined {
  const roots = directories.map((directory) => openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY));
  try {
    return read(
      roots,
      path.split('/').filter((part) => part !== ''),
    );
  } finally {
    for (const fd of roots) closeSync(fd);
  }
}

/** What says who the users and groups of a container are; empty where the image has none. */
export function readAccountFiles(mounts: readonly RootMount[]): AccountFiles {
  const layers = layerDirectories(mounts);
  return { passwd: readRootFile(layers, '/etc/passwd') ?? '', group: readRootFile(layers, '/etc/group') ?? '' };
}

const noLinks = { resolve: resolveFlags.beneath | resolveFlags.noSymlinks | resolveFlags.noMagicLinks };

function read(roots: readonly number[], parts: readonly string[]): string | undefined {
  let remaining = [...parts];
  let at: string[] = [];
  for (let links = 0; remaining.length > 0; ) {
    const [part = '', ...rest] = remaining;
    remaining = rest;
    if (part === '.') continue;
    if (part === '..') {
      at = at.slice(0, -1);
      continue;
    }
    const found = lookUp(roots, [...at, part].join('/'));
    if (found === undefined) return undefined;
    if (found.kind === 'link') {
      if (++links > maxLinks) return undefined;
      remaining = [...found.target.split('/').filter((step) => step !== ''), ...remaining];
      if (found.target.startsWith('/')) at = [];
    } else if (found.kind === 'directory') at.push(part);
    else if (remaining.length === 0) return contentOf(found.root, [...at, part].join('/'));
    else return undefined;
  }
  return undefined;
}

type Found =
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly root: number }
  | { readonly kind: 'link'; readonly target: string };

function lookUp(roots: readonly number[], path: string): Found | undefined {
  const slash = path.lastIndexOf('/');
  const [parent, name] = slash < 0 ? ['.', path] : [path.slice(0, slash), path.slice(slash + 1)];
  for (const root of roots) {
    const parentFd = openDirectory(root, parent);
    if (parentFd === undefined) continue; // not in this layer
    try {
      const entry = `/proc/self/fd/${parentFd}/${name}`;
      const stat = lstatSync(entry, { throwIfNoEntry: false });
      if (stat === undefined) {
        if (getXattr(`/proc/self/fd/${parentFd}`, opaque)?.toString() === 'y') return undefined;
        continue;
      }
      if (stat.isCharacterDevice() && stat.rdev === 0) return undefined; // a whiteout hides the layers below
      if (stat.isDirectory()) return { kind: 'directory' };
      if (stat.isSymbolicLink()) return { kind: 'link', target: readlinkSync(entry) };
      return stat.isFile() ? { kind: 'file', root } : undefined;
    } finally {
      closeSync(parentFd);
    }
  }
  return undefined;
}

/** A directory that replaces those below instead of adding to them. */
const opaque = 'trusted.overlay.opaque';

function openDirectory(root: number, path: string): number | undefined {
  try {
    return openInRoot(root, path, constants.O_RDONLY | constants.O_DIRECTORY, noLinks);
  } catch (error) {
    const code = BoxshipError.is(error) ? error.details['code'] : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}

function contentOf(root: number, path: string): string {
  const fd = openInRoot(root, path, constants.O_RDONLY | constants.O_NONBLOCK, noLinks);
  try {
    const { size } = fstatSync(fd);
    if (size > maxFileBytes)
      throw new BoxshipError(
        'resourceExhausted',
        `/${path} of the container has ${size} bytes, more than ${maxFileBytes}`,
      );
    const bytes = Buffer.alloc(size);
    let length = 0;
    for (let count = -1; count !== 0 && length < size; length += count)
      count = readSync(fd, bytes, length, size - length, length);
    return bytes.toString('utf8', 0, length);
  } finally {
    closeSync(fd);
  }
}
