import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  chmodAt,
  linkAt,
  makeDevice,
  mkdirAt,
  mknodAt,
  openAt,
  setTimesAt,
  splitDevice,
  symlinkAt,
  unlinkAt,
} from './directory-fd.ts';
import { openInRoot, resolveFlags } from './open-in-root.ts';
import { syncFilesystem } from './sync-filesystem.ts';
import { getXattr, listXattrs, removeXattr, setXattr } from './xattr.ts';

let root: string;
let fd: number;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'linux-directory-'));
  fd = openSync(root, 'r');
});
afterEach(() => {
  closeSync(fd);
  rmSync(root, { recursive: true, force: true });
});

describe('names in a directory', () => {
  it('makes, links, dates and removes names', () => {
    mkdirAt(fd, 'd', 0o755);
    symlinkAt('/etc/hostname', fd, 'link');
    writeFileSync(join(root, 'f'), 'x');
    linkAt(fd, 'link', fd, 'd/link2');
    expect(readlinkSync(join(root, 'd/link2'))).toBe('/etc/hostname');
    setTimesAt(fd, 'link', { seconds: 5, nanoseconds: 6 }, { seconds: 7, nanoseconds: 123_456_789 });
    expect(lstatSync(join(root, 'link'), { bigint: true }).mtimeNs).toBe(7_123_456_789n);
    for (const seconds of [-5, 3_000_000_000, 2 ** 32 + 7]) {
      setTimesAt(fd, 'link', { seconds, nanoseconds: 0 }, { seconds, nanoseconds: 999_999_999 });
      const { mtimeNs } = lstatSync(join(root, 'link'), { bigint: true });
      expect(mtimeNs).toBe(BigInt(seconds) * 1_000_000_000n + 999_999_999n);
    }
    chmodAt(fd, 'f', 0o4711);
    expect(lstatSync(join(root, 'f')).mode & 0o7777).toBe(0o4711);
    expect(() => openAt(fd, 'link', constants.O_RDONLY)).toThrow('ELOOP');
    unlinkAt(fd, 'd/link2');
    unlinkAt(fd, 'd', { isDirectory: true });
    expect(() => unlinkAt(fd, 'd')).toThrow(expect.objectContaining({ kind: 'notFound' }));
  });

  it('makes devices with large numbers and names that are no UTF-8', () => {
    const name = Buffer.from([0x61, 0xff, 0xfe]);
    mknodAt(fd, name, constants.S_IFCHR | 0o600, { major: 259, minor: 70_000 });
    const stat = lstatSync(Buffer.concat([Buffer.from(`${root}/`), name]), { bigint: true });
    expect(splitDevice(stat.rdev)).toEqual({ major: 259, minor: 70_000 });
    expect(makeDevice(259, 70_000)).toBe(stat.rdev);
    expect(() => mkdirAt(fd, Buffer.from('a\0b'), 0o700)).toThrow('NUL');
  });
});

describe('openInRoot', () => {
  it('keeps absolute links and .. inside the root', () => {
    mkdirSync(join(root, 'etc'));
    writeFileSync(join(root, 'etc/hostname'), 'inside');
    symlinkSync('/etc', join(root, 'esc'));
    for (const path of ['esc/hostname', '../../etc/hostname', '/etc/hostname']) {
      const file = openInRoot(fd, path, constants.O_RDONLY);
      expect(readFileSync(file, 'utf8')).toBe('inside');
      closeSync(file);
    }
    expect(() => openInRoot(fd, 'esc/passwd', constants.O_RDONLY)).toThrow(
      expect.objectContaining({ kind: 'notFound' }),
    );
    expect(() => openInRoot(fd, 'esc/hostname', constants.O_RDONLY, { resolve: resolveFlags.noSymlinks })).toThrow(
      'ELOOP',
    );
  });
});

describe('extended attributes', () => {
  it('holds binary values', () => {
    const path = join(root, 'f');
    writeFileSync(path, '');
    const value = Buffer.from([0, 1, 0x80, 0x0a, 0xff]);
    setXattr(path, 'trusted.t', value);
    setXattr(fd, 'trusted.d', Buffer.alloc(0));
    expect(listXattrs(path)).toEqual(['trusted.t']);
    expect(getXattr(path, 'trusted.t')).toEqual(value);
    expect(getXattr(fd, 'trusted.d')).toHaveLength(0);
    removeXattr(path, 'trusted.t');
    expect(getXattr(path, 'trusted.t')).toBeUndefined();
    expect(() => getXattr(join(root, 'none'), 'user.x')).toThrow(expect.objectContaining({ kind: 'notFound' }));
  });
  it('syncs the file system', async () => {
    await syncFilesystem(root);
    await expect(syncFilesystem(join(root, 'none'))).rejects.toThrow('ENOENT');
  });
});
