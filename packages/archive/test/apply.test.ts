/** Unpacking against GNU tar and against hostile archives, on the real kernel. */
import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { getXattr, mkdirAt, mknodAt, setXattr } from '@boxship/linux';
import { digestOf } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ApplyTarget } from '../src/apply/target.ts';
import { applyArchive } from '../src/apply.ts';
import { newEntry, type TarEntry } from '../src/tar/entry.ts';
import { encodeEntry, tarEnd, tarPadding } from '../src/tar/writer.ts';
import { statInRoot } from '../src/tree/stat-path.ts';

type Member = Partial<TarEntry> & { name: string; type?: TarEntry['type']; content?: string };

/** An archive of the members given. */
function tar(members: readonly Member[]): Buffer {
  const parts: Buffer[] = [];
  for (const { content = '', ...fields } of members) {
    const bytes = Buffer.from(content);
    parts.push(encodeEntry(newEntry({ type: 'file', ...fields, size: bytes.length })), bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, tarEnd]);
}
const once = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
};

let base: string;
let root: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'archive-apply-'));
  root = join(base, 'root');
  mkdirSync(root);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const tree = (): ApplyTarget => ({ kind: 'tree', root });
const apply = (members: readonly Member[], target = tree()) => applyArchive(once(tar(members)), target);
const at = (path: string): string => join(root, path);

/** Everything that matters about a tree, by name. */
function census(directory: string, path = ''): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(join(directory, path)).sort()) {
    const own = join(path, name);
    const stat = lstatSync(join(directory, own), { bigint: true });
    const body = stat.isSymbolicLink()
      ? readlinkSync(join(directory, own))
      : stat.isFile()
        ? `${digestOf(readFileSync(join(directory, own)))} ${stat.nlink}`
        : String(stat.rdev);
    found[own] = `${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${stat.mtimeNs} ${body}`;
    if (stat.isDirectory()) Object.assign(found, census(directory, own));
  }
  return found;
}

describe('against GNU tar', () => {
  beforeEach(() => {
    const source = join(base, 'source');
    mkdirSync(join(source, 'a/b'), { recursive: true });
    writeFileSync(join(source, 'a/file'), 'x'.repeat(3_000_000));
    writeFileSync(join(source, 'a/suid'), 's', { mode: 0o4755 });
    execFileSync('chmod', ['4755', join(source, 'a/suid')]);
    execFileSync('chown', ['12:3000000000', join(source, 'a/b')]);
    linkSync(join(source, 'a/file'), join(source, 'hard'));
    symlinkSync('../nowhere', join(source, 'a/link'));
    writeFileSync(join(source, `${'n'.repeat(200)}`), 'long');
    mkdirSync(join(source, 'd'.repeat(120), 'e'.repeat(120)), { recursive: true });
    writeFileSync(join(source, 'd'.repeat(120), 'e'.repeat(120), 'ümläut'), 'deep');
    execFileSync('mknod', [join(source, 'null'), 'c', '1', '3']);
    execFileSync('mkfifo', [join(source, 'fifo')]);
    utimesSync(join(source, 'a/b'), 1_000_000_000, 1_000_000_000.5);
    truncateSync(join(source, 'a/file'), 2_999_999);
    writeFileSync(join(source, 'sparse'), 'head');
    truncateSync(join(source, 'sparse'), 5_000_000);
  });

  it.each([
    ['gnu', []],
    ['pax', []],
    ['pax', ['--sparse']],
    ['pax', ['--sparse', '--sparse-version=0.1']],
    ['pax', ['--sparse', '--sparse-version=0.0']],
    ['gnu', ['-z']],
    ['pax', ['-I', 'zstd']],
  ])('unpacks --format=%s %j the same', async (format, extra) => {
    const file = join(base, 'archive');
    execFileSync('tar', [`--format=${format}`, ...extra, '-cf', file, '-C', join(base, 'source'), '.']);
    const expected = join(base, 'expected');
    mkdirSync(expected);
    execFileSync('tar', ['--same-owner', '-xpf', file, '-C', expected]);
    const summary = await applyArchive(createReadStream(file), tree());
    expect(census(root)).toEqual(census(expected));
    const plain = execFileSync(
      'sh',
      [
        '-c',
        `case $(head -c4 ${file} | xxd -p) in 1f8b*) gzip -dc ${file};; 28b5*) zstd -dc ${file};; *) cat ${file};; esac`,
      ],
      { maxBuffer: 1e9 },
    );
    expect(summary.digest).toBe(digestOf(plain));
    expect(summary.size).toBe(plain.length);
  });
});

describe('confinement', () => {
  it.each([
    ['clamps ..', [{ name: '../../../../x', content: 'X' }], 'x'],
    ['roots absolute names', [{ name: '/abs/x', content: 'X' }], 'abs/x'],
  ] as [string, Member[], string][])('%s', async (_, members, path) => {
    await apply(members);
    expect(readFileSync(at(path), 'utf8')).toBe('X');
  });

  it('keeps links to the outside inside', async () => {
    const outside = join(base, 'outside');
    mkdirSync(outside);
    await apply([
      { name: 'a', type: 'symlink', linkName: outside },
      { name: 'a/x', content: 'X' },
      { name: 'up', type: 'symlink', linkName: '../../..' },
      { name: 'up/y', content: 'Y' },
    ]);
    expect(readdirSync(outside)).toEqual([]);
    expect(readFileSync(join(root, outside, 'x'), 'utf8')).toBe('X');
    expect(readFileSync(at('y'), 'utf8')).toBe('Y');
  });

  it.each(['../../../../etc/hostname', '/etc/hostname', 'l/hostname'])(
    'refuses a hard link to %s',
    async (linkName) => {
      await expect(
        apply([
          { name: 'l', type: 'symlink', linkName: '/etc' },
          { name: 'b', type: 'hardlink', linkName },
        ]),
      ).rejects.toMatchObject({ kind: 'invalidArgument' });
    },
  );

  it('replaces a link by a directory instead of changing what it points to', async () => {
    const outside = join(base, 'outside');
    mkdirSync(outside, { mode: 0o700 });
    symlinkSync(outside, at('a'));
    await apply([{ name: 'a/', type: 'directory', mode: 0o777 }]);
    expect(lstatSync(outside).mode & 0o7777).toBe(0o700);
    expect(lstatSync(at('a')).isDirectory()).toBe(true);
  });

  it('drops attributes that belong to the host', async () => {
    const xattrs = new Map([
      ['trusted.overlay.redirect', Buffer.from('/etc')],
      ['user.overlay.opaque', Buffer.from('y')],
      ['user.kept', Buffer.from([0, 0x80, 0x0a])],
      ['security.capability', Buffer.from('0100000200200000000000000000000000000000', 'hex')],
    ]);
    await apply([{ name: 'f', content: 'x', xattrs, mode: 0o755, uid: 5 }]);
    expect(getXattr(at('f'), 'trusted.overlay.redirect')).toBeUndefined();
    expect(getXattr(at('f'), 'user.overlay.opaque')).toBeUndefined();
    expect(getXattr(at('f'), 'user.kept')).toEqual(Buffer.from([0, 0x80, 0x0a]));
    expect(getXattr(at('f'), 'security.capability')?.toString('hex')).toBe('0100000200200000000000000000000000000000');
  });
});

describe('whiteouts in a tree', () => {
  beforeEach(() => {
    mkdirSync(at('d/e'), { recursive: true });
    for (const name of ['f1', 'd/x', 'd/e/y', 'keep']) writeFileSync(at(name), 'lower');
  });
  it('removes files and directories of lower layers only', async () => {
    await apply([
      { name: 'f1', content: 'new' },
      { name: '.wh.f1' },
      { name: 'd/c', content: 'mine' },
      { name: 'd/e/mine', content: 'mine' },
      { name: 'd/.wh..wh..opq' },
      { name: '.wh.never' },
      { name: '.wh..wh.plnk/1', content: 'internal' },
    ]);
    expect(Object.keys(census(root)).sort()).toEqual(['d', 'd/c', 'd/e', 'd/e/mine', 'f1', 'keep']);
    expect(readFileSync(at('f1'), 'utf8')).toBe('new');
  });
  it.each(['.wh.', '.wh..', '.wh...', 'd/.wh..'])('refuses %s', async (name) => {
    await expect(apply([{ name }])).rejects.toMatchObject({
      kind: 'invalidArgument',
      message: expect.stringContaining('whiteout'),
    });
    expect(existsSync(at('keep'))).toBe(true);
  });
  it('takes the names literally when asked', async () => {
    await applyArchive(once(tar([{ name: '.wh.keep', content: 'x' }])), tree(), { whiteouts: 'literal' });
    expect(existsSync(at('keep'))).toBe(true);
    expect(existsSync(at('.wh.keep'))).toBe(true);
  });
});

describe('into an overlay upper directory', () => {
  let lower: string;
  const overlay = (): ApplyTarget => ({ kind: 'overlay', upper: root, lowers: [lower] });
  beforeEach(() => {
    lower = join(base, 'lower');
    mkdirSync(join(lower, 'd/e'), { recursive: true });
    writeFileSync(join(lower, 'd/x'), 'lower');
    symlinkSync('d', join(lower, 'link'));
    execFileSync('chown', ['7:8', join(lower, 'd')]);
    execFileSync('chmod', ['2751', join(lower, 'd')]);
    setXattr(join(lower, 'd'), 'user.k', Buffer.from('v'));
    utimesSync(join(lower, 'd'), 1000, 1000.25);
  });
  it('marks what is gone as overlayfs does', async () => {
    await apply(
      [
        { name: '.wh.gone' },
        { name: 'o/', type: 'directory' },
        { name: 'o/.wh..wh..opq' },
        { name: '.wh.again' },
        { name: 'again/', type: 'directory' },
        { name: 'again/f', content: 'x' },
        { name: '.wh.file' },
        { name: 'file', content: 'new' },
      ],
      overlay(),
    );
    expect(lstatSync(at('gone')).isCharacterDevice() && lstatSync(at('gone')).rdev).toBe(0);
    for (const name of ['o', 'again']) expect(getXattr(at(name), 'trusted.overlay.opaque')?.toString()).toBe('y');
    expect(readFileSync(at('file'), 'utf8')).toBe('new');
  });
  it('gives parents that the layer does not mention the metadata of the lower layer', async () => {
    await apply([{ name: 'd/e/new', content: 'x' }], overlay());
    const stat = lstatSync(at('d'), { bigint: true });
    expect([stat.uid, stat.gid, stat.mode & 0o7777n, stat.mtimeNs]).toEqual([7n, 8n, 0o2751n, 1000_250_000_000n]);
    expect(getXattr(at('d'), 'user.k')?.toString()).toBe('v');
  });
  it.each([
    ['a hard link to a lower file', [{ name: 'h', type: 'hardlink', linkName: 'd/x' }]],
    ['a parent that is a link below', [{ name: 'link/through', content: 'x' }]],
  ] as [string, Member[]][])('asks for a mount for %s', async (_, members) => {
    await expect(apply(members, overlay())).rejects.toMatchObject({ details: { code: 'ENEEDMOUNT' } });
  });
});

describe('below a path of a root', () => {
  const into = (path: string, members: readonly Member[], options = {}) =>
    applyArchive(once(tar(members)), { kind: 'tree', root, path }, { whiteouts: 'literal', ...options });
  beforeEach(() => {
    mkdirSync(at('etc'));
    mkdirSync(at('a'));
    writeFileSync(at('etc/file'), 'old');
    symlinkSync('/etc', at('a/abs'));
    symlinkSync('a', at('to-a'));
  });
  it('resolves links as a process inside would', async () => {
    await into('/to-a', [
      { name: 'abs/new', content: 'x' },
      { name: '../../up', content: 'x' },
      { name: 'h', type: 'hardlink', linkName: 'up' },
    ]);
    expect(readFileSync(at('etc/new'), 'utf8')).toBe('x');
    expect(lstatSync(at('a/up')).nlink).toBe(2);
    expect(lstatSync(at('to-a')).isSymbolicLink()).toBe(true);
  });
  it('gives the directory itself the metadata of the first member', async () => {
    await into('to-a', [{ name: './', type: 'directory', mode: 0o711, uid: 5 }], { owner: { uid: 9, gid: 8 } });
    const stat = lstatSync(at('a'));
    expect([stat.mode & 0o7777, stat.uid, stat.gid]).toEqual([0o711, 9, 8]);
  });
  it('keeps directories and files apart when asked', async () => {
    const options = { keepDirectories: true };
    await expect(into('/', [{ name: 'etc', content: 'x' }], options)).rejects.toMatchObject({
      kind: 'failedPrecondition',
    });
    await expect(into('/etc', [{ name: 'file/', type: 'directory' }], options)).rejects.toMatchObject({
      kind: 'failedPrecondition',
    });
    await into('/etc', [{ name: 'file', content: 'new' }], options);
    expect(readFileSync(at('etc/file'), 'utf8')).toBe('new');
  });
  it('needs the directory', async () => {
    await expect(into('/none', [])).rejects.toMatchObject({ kind: 'notFound' });
    await expect(into('/etc/file', [])).rejects.toMatchObject({ kind: 'notFound' });
  });
  it('tells what a path is', () => {
    expect(statInRoot(root, '/to-a/abs')).toMatchObject({ name: 'abs', linkTarget: '/etc' });
    expect(statInRoot(root, '../../etc/file')).toMatchObject({ name: 'file', sizeBytes: 3, linkTarget: '' });
    expect(statInRoot(root, '/')).toMatchObject({ name: '/' });
    symlinkSync('/nowhere', at('dangling'));
    expect(statInRoot(root, 'dangling').linkTarget).toBe('/nowhere');
    expect(() => statInRoot(root, 'a/abs/passwd')).toThrow(expect.objectContaining({ kind: 'notFound' }));
  });
});

describe('bombs and damage', () => {
  const header = (fields: Member): Buffer => encodeEntry(newEntry({ type: 'file', ...fields }));
  it.each([
    ['a name beyond PATH_MAX', [{ name: `${'a/'.repeat(3000)}x` }], 'resourceExhausted'],
    ['a component beyond NAME_MAX', [{ name: 'n'.repeat(256) }], 'resourceExhausted'],
    ['a path too deep', [{ name: `${'a/'.repeat(257)}x` }], 'resourceExhausted'],
    ['a member that replaces the root', [{ name: './', type: 'symlink', linkName: '/' }], 'invalidArgument'],
    ['a file as parent', [{ name: 'f' }, { name: 'f/x' }], 'invalidArgument'],
    [
      'a loop of links',
      [{ name: 'a', type: 'symlink', linkName: 'b' }, { name: 'b', type: 'symlink', linkName: 'a' }, { name: 'a/x' }],
      'invalidArgument',
    ],
  ] as [string, Member[], string][])('refuses %s', async (_, members, kind) => {
    await expect(apply(members)).rejects.toMatchObject({ kind });
  });
  it.each([
    ['a cut archive', tar([{ name: 'f', content: 'x'.repeat(2000) }]).subarray(0, 1500), 'invalidArgument'],
    ['a wrong checksum', Buffer.from(tar([{ name: 'f' }])).fill('Z', 0, 1), 'invalidArgument'],
    ['a cut gzip', gzipSync(tar([{ name: 'f', content: 'x'.repeat(2000) }])).subarray(0, 60), 'invalidArgument'],
    [
      'a cut zstd',
      zstdCompressSync(tar([{ name: 'f', content: 'x'.repeat(2000) }])).subarray(0, 60),
      'invalidArgument',
    ],
    ['bzip2', Buffer.from('BZh91AY&SY'), 'unimplemented'],
    ['a file of 1 EiB', Buffer.concat([header({ name: 'f', size: 2 ** 53 - 1 }), tarEnd]), 'resourceExhausted'],
    ['an old GNU sparse file', Buffer.from(tar([{ name: 'f' }])), 'invalidArgument'],
  ])('refuses %s', async (what, bytes, kind) => {
    const input = Buffer.from(bytes);
    if (what.startsWith('an old GNU')) {
      input[156] = 83;
      input.write('        ', 148, 'latin1');
      let sum = 0;
      for (const byte of input.subarray(0, 512)) sum += byte;
      input.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    }
    await expect(applyArchive(once(input), tree())).rejects.toMatchObject({ kind });
  });
  it('stops a decompression bomb', async () => {
    const bomb = zstdCompressSync(Buffer.concat([header({ name: 'f', size: 400_000_000 }), Buffer.alloc(400_000_000)]));
    await expect(applyArchive(once(bomb), tree())).rejects.toMatchObject({
      kind: 'resourceExhausted',
      message: expect.stringContaining('ratio'),
    });
  });
  it('works on after failures, and when cancelled', async () => {
    const controller = new AbortController();
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield tar([{ name: 'f', content: 'x' }]).subarray(0, 1024);
      controller.abort(new Error('stop'));
      for (;;) yield Buffer.alloc(65_536, 1);
    };
    await expect(applyArchive(endless(), tree(), { signal: controller.signal })).rejects.toThrow();
    const summary = await apply([{ name: 'after', content: 'x' }]);
    expect(summary.entries).toBe(1);
    expect(existsSync(at('after'))).toBe(true);
  });
  it('reads members of several frames and what follows the end', async () => {
    const bytes = Buffer.concat([tar([{ name: 'f', content: 'x' }]), Buffer.alloc(7000)]);
    const summary = await applyArchive(
      once(Buffer.concat([gzipSync(bytes.subarray(0, 300)), gzipSync(bytes.subarray(300))])),
      tree(),
    );
    expect(summary).toMatchObject({ digest: digestOf(bytes), size: bytes.length });
    const frames = Buffer.concat([
      zstdCompressSync(bytes.subarray(0, 300)),
      Buffer.from('502a4d1802000000aabb', 'hex'),
      zstdCompressSync(bytes.subarray(300)),
    ]);
    expect((await applyArchive(once(frames), tree())).digest).toBe(digestOf(bytes));
  });
  it('refuses a name with NUL in the path of the kernel calls', () => {
    expect(() => mkdirAt(0, 'a\0', 0)).toThrow();
    expect(() => mknodAt(0, '\0', 0, { major: 0, minor: 0 })).toThrow();
  });
});
