/** Archives that are large enough for a thread of their own that writes contents: what it must not change, and what it must not leave. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { applyArchive } from '../src/apply.ts';
import { defaultLimits } from '../src/limits.ts';
import { newEntry } from '../src/tar/entry.ts';
import { encodeEntry, tarEnd, tarPadding } from '../src/tar/writer.ts';

const fileCount = 3000;
const contents = Array.from({ length: fileCount }, (_, index) => randomBytes(index % 10 === 0 ? 0 : index % 7000));
contents[1234] = randomBytes(3_000_000); // lies in several slots
const mtimeOf = (index: number) => ({ seconds: 1_000_000 + index, nanoseconds: 0 });

/** Files of root with usual modes, which are handed over, and every fiftieth one of somebody else, which is not. */
const archive = Buffer.concat([
  ...contents.flatMap((bytes, index) => {
    const owner = index % 50 === 0 ? { uid: 7, gid: 8 } : {};
    const fields = {
      name: `d${index % 30}/f${index}`,
      type: 'file',
      size: bytes.length,
      mtime: mtimeOf(index),
    } as const;
    return [encodeEntry(newEntry({ ...fields, ...owner })), bytes, tarPadding(bytes.length)];
  }),
  tarEnd,
]);

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
}

/** Gives the bytes slowly enough for a new thread to begin. */
async function* slowly(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for await (const piece of inPieces(bytes)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    yield piece;
  }
}

const threads = (): number =>
  readdirSync('/proc/self/task').filter((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'archive\n')
    .length;
const descriptors = (): number => readdirSync('/proc/self/fd').length;

let base: string;
let root: string;
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'archive-helped-'));
  const warm = join(base, 'warm');
  mkdirSync(warm);
  await applyArchive(slowly(archive), { kind: 'tree', root: warm }); // the threads are there from now on
});
afterAll(() => rmSync(base, { recursive: true, force: true }));
beforeEach(() => {
  root = mkdtempSync(join(base, 'root-'));
});

function expectWhole(directory: string): void {
  for (const [index, bytes] of contents.entries()) {
    const path = join(directory, `d${index % 30}/f${index}`);
    const stat = lstatSync(path);
    expect([path, readFileSync(path).equals(bytes), stat.mtimeMs, stat.uid]).toEqual([
      path,
      true,
      mtimeOf(index).seconds * 1000,
      index % 50 === 0 ? 7 : 0,
    ]);
  }
}

describe('contents written by a thread of their own', () => {
  it.each([
    ['plain', archive],
    ['gzip', gzipSync(archive, { level: 1 })],
  ])('are those of the archive (%s)', async (_, bytes) => {
    const before = descriptors();
    expect((await applyArchive(inPieces(bytes), { kind: 'tree', root })).entries).toBe(fileCount);
    expectWhole(root);
    expect(descriptors()).toBe(before);
    expect(threads()).toBe(3); // one expands, one makes files, one writes
  });

  it('are extended to a hole at their end, and keep others', async () => {
    const source = join(base, 'sparse');
    mkdirSync(source);
    execFileSync('sh', [
      '-c',
      'cd "$1" && head -c 3000000 /dev/urandom > first && truncate -s 9M tail && printf abc | dd of=tail conv=notrunc status=none && printf x | dd of=mid bs=1 seek=5000000 status=none',
      'sh',
      source,
    ]);
    const sparse = execFileSync('tar', ['-C', source, '--sparse', '--format=pax', '-cf', '-', 'first', 'mid', 'tail'], {
      maxBuffer: 1e8,
    });
    await applyArchive(slowly(Buffer.concat([archive.subarray(0, -tarEnd.length), sparse])), { kind: 'tree', root });
    for (const name of ['first', 'mid', 'tail'])
      expect(readFileSync(join(root, name)).equals(readFileSync(join(source, name)))).toBe(true);
    expect(lstatSync(join(root, 'tail')).blocks).toBeLessThan(100);
  });

  it('keep the order of members: later ones replace earlier ones, link to them and delete none of them', async () => {
    const file = (name: string, text: string): Buffer => {
      const bytes = Buffer.from(text);
      const header = encodeEntry(newEntry({ name, type: 'file', size: bytes.length, mtime: mtimeOf(0) }));
      return Buffer.concat([header, bytes, tarPadding(bytes.length)]);
    };
    const last = [
      ...['e/a', 'e/b', 'e/a', 'e/a', 'e/c'].map((name, index) => file(name, `${name} ${index}`)),
      encodeEntry(newEntry({ name: 'e/link', type: 'hardlink', linkName: 'e/c' })),
      file('e/c', 'not the link'),
      encodeEntry(newEntry({ name: 'e/b', type: 'directory' })),
      file('e/b/in', 'below what was a file'),
      encodeEntry(newEntry({ name: 'e/sym', type: 'symlink', linkName: '/nowhere' })),
      file('e/sym', 'in place of a link'),
      file('e/gone', ''),
      file('e/.wh.gone', ''),
      file(`e/${'n'.repeat(255)}`, 'long'),
      file('lower/mine', 'of root all the same'),
      ...Array.from({ length: 600 }, (_, index) => file(`f/${index}`, `${index}`)),
    ];
    const lower = mkdtempSync(join(base, 'lower-'));
    execFileSync('sh', ['-c', 'mkdir "$1/lower" && chown 5:6 "$1/lower" && chmod 2755 "$1/lower"', 'sh', lower]);
    const members = Buffer.concat([archive.subarray(0, -tarEnd.length), ...last, tarEnd]);
    const before = descriptors();
    await applyArchive(slowly(members), { kind: 'overlay', upper: root, lowers: [lower] });
    expect(descriptors()).toBe(before);
    expectWhole(root);
    const text = (name: string): string => readFileSync(join(root, name), 'utf8');
    expect(['e/a', 'e/c', 'e/link', 'e/b/in', 'e/sym', 'e/gone', `e/${'n'.repeat(255)}`].map(text)).toEqual([
      'e/a 3',
      'not the link',
      'e/c 4',
      'below what was a file',
      'in place of a link',
      '',
      'long',
    ]);
    expect(lstatSync(join(root, 'e/sym')).isFile()).toBe(true);
    const { uid, gid } = lstatSync(join(root, 'lower/mine'));
    expect([uid, gid]).toEqual([0, 0]);
    expect(Array.from({ length: 600 }, (_, index) => text(`f/${index}`))).toEqual(
      Array.from({ length: 600 }, (_, index) => `${index}`),
    );
  });

  it('fail at a name that the file system does not take', async () => {
    const long = encodeEntry(newEntry({ name: `d1/${'n'.repeat(256)}`, type: 'file', mtime: mtimeOf(0) }));
    const before = descriptors();
    const limits = { ...defaultLimits, componentBytes: 1000 };
    const members = Buffer.concat([archive.subarray(0, -tarEnd.length), long, tarEnd]);
    await expect(applyArchive(slowly(members), { kind: 'tree', root }, { limits })).rejects.toThrow('ENAMETOOLONG');
    expect(descriptors()).toBe(before);
  });

  it.each([
    [
      'is cut in a file',
      async (target: string) =>
        await applyArchive(inPieces(archive.subarray(0, archive.length / 2)), { kind: 'tree', root: target }),
      'invalidArgument',
    ],
    [
      'fails at its source',
      async (target: string) => {
        async function* broken(): AsyncGenerator<Uint8Array> {
          yield* inPieces(archive.subarray(0, 6_000_000));
          throw new Error('the source has failed');
        }
        await applyArchive(broken(), { kind: 'tree', root: target });
      },
      undefined,
    ],
    [
      'is given up',
      async (target: string) => {
        const controller = new AbortController();
        await applyArchive(
          inPieces(archive),
          { kind: 'tree', root: target },
          { signal: controller.signal, onProgress: (bytes) => bytes > 4_000_000 && controller.abort() },
        );
      },
      undefined,
    ],
  ])('leave no descriptor when the archive %s', async (_, work, kind) => {
    const before = descriptors();
    await expect(work(root)).rejects.toThrow(kind === undefined ? undefined : expect.objectContaining({ kind }));
    expect(descriptors()).toBe(before);
    const again = mkdtempSync(join(base, 'again-'));
    await applyArchive(inPieces(archive), { kind: 'tree', root: again });
    expectWhole(again);
  });

  it('fail when the disk is full, and let go of it', async () => {
    const before = descriptors();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=7m', 'tmpfs', root]);
    try {
      await expect(applyArchive(inPieces(archive), { kind: 'tree', root })).rejects.toThrow(
        expect.objectContaining({ kind: 'resourceExhausted' }),
      );
    } finally {
      execFileSync('umount', [root]); // would be busy
    }
    expect(descriptors()).toBe(before);
  });
});
