/** Archives that GNU tar reads, of trees, of paths inside a root, and of overlay directories. */
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setXattr } from '@boxship/linux';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { applyArchive } from '../src/apply.ts';
import type { PackRequest } from '../src/diff/request.ts';
import { pack } from '../src/pack.ts';
import { copyTree, measureTree, removeTree } from '../src/tree.ts';

let base: string;
let root: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'archive-pack-'));
  root = join(base, 'root');
  mkdirSync(join(root, 'd/e'), { recursive: true });
  writeFileSync(join(root, 'd/file'), 'x'.repeat(600_000));
  linkSync(join(root, 'd/file'), join(root, 'd/hard'));
  symlinkSync('/etc', join(root, 'outside'));
  writeFileSync(join(root, 'd/e', 'n'.repeat(180)), 'long');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

async function bytesOf(request: PackRequest): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of pack(request).chunks) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
const list = (archive: Buffer): string[] =>
  execFileSync('tar', ['-tf', '-'], { input: archive }).toString().trim().split('\n');

describe('packing', () => {
  it('writes what GNU tar unpacks to the same tree', async () => {
    utimesSync(join(root, 'd/file'), 1000, 1000);
    const archive = await bytesOf({ kind: 'changes', upper: root });
    const out = join(base, 'out');
    mkdirSync(out);
    execFileSync('tar', ['-xpf', '-', '-C', out], { input: archive });
    execFileSync('diff', ['-r', '--no-dereference', root, out]);
    expect(list(archive)).toEqual(['d/', 'd/e/', `d/e/${'n'.repeat(180)}`, 'd/file', 'd/hard', 'outside']);
    expect(await bytesOf({ kind: 'changes', upper: root })).toEqual(archive);
  });

  it('packs one path under another name, inside the root', async () => {
    expect(list(await bytesOf({ kind: 'tree', root, path: '/d/e', as: 'renamed' }))).toEqual([
      'renamed/',
      `renamed/${'n'.repeat(180)}`,
    ]);
    expect(list(await bytesOf({ kind: 'tree', root, path: 'd/../../d/file' }))).toEqual(['file']);
    expect(list(await bytesOf({ kind: 'tree', root, path: 'outside' }))).toEqual(['outside']); // the link itself
    await expect(bytesOf({ kind: 'tree', root, path: 'outside/hostname' })).rejects.toMatchObject({ kind: 'notFound' });
    expect(list(await bytesOf({ kind: 'tree', root, options: { exclude: ['d/e'] } }))).toEqual([
      'd/',
      'd/file',
      'd/hard',
      'outside',
    ]);
  });

  it('passes over sockets', async () => {
    const server = await new Promise<Server>((resolve) => {
      const listening = createServer().listen(join(root, 'socket'), () => resolve(listening));
    });
    expect(list(await bytesOf({ kind: 'tree', root, path: '/' }))).not.toContain('socket');
    await new Promise((resolve) => server.close(resolve));
  });

  it('writes whiteouts for what an overlay directory hides', async () => {
    execFileSync('mknod', [join(root, 'd/gone'), 'c', '0', '0']);
    setXattr(join(root, 'd/e'), 'trusted.overlay.opaque', Buffer.from('y'));
    setXattr(join(root, 'd/e'), 'trusted.overlay.origin', Buffer.from('x'));
    const archive = await bytesOf({ kind: 'overlay', upper: root });
    expect(list(archive)).toEqual(expect.arrayContaining(['d/.wh.gone', 'd/e/.wh..wh..opq']));
    expect(archive.includes('trusted.overlay')).toBe(false);
    setXattr(join(root, 'd'), 'trusted.overlay.redirect', Buffer.from('/x'));
    await expect(bytesOf({ kind: 'overlay', upper: root })).rejects.toMatchObject({ details: { code: 'ENEEDMOUNT' } });
  });

  it('stops when its reader does', async () => {
    for await (const chunk of pack({ kind: 'changes', upper: '/usr/bin' }).chunks) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(list(await bytesOf({ kind: 'changes', upper: root })).length).toBe(6);
    const unread = pack({ kind: 'changes', upper: root });
    expect(() => unread.summary()).toThrow(expect.objectContaining({ kind: 'failedPrecondition' }));
  });
});

describe('whole trees', () => {
  it('copies, measures and removes', async () => {
    utimesSync(join(root, 'd/file'), 1000, 1000.123456);
    setXattr(join(root, 'd'), 'user.note', Buffer.from('x'));
    const copy = join(base, 'copy');
    await copyTree(root, copy);
    const facts = (path: string): string =>
      execFileSync('sh', [
        '-c',
        `cd ${path} && find . -printf '%P %m %U:%G %n %T@ %l\\n' | sort && getfattr -R -d . 2>/dev/null || true`,
      ]).toString();
    expect(facts(copy)).toBe(facts(root));
    const usage = await measureTree(copy);
    expect(usage.inodes).toBe(6); // the two names of one file count once
    expect(usage.sizeBytes).toBeGreaterThanOrEqual(600_000);
    expect(usage.sizeBytes).toBeLessThan(800_000);
    await removeTree(copy);
    await expect(measureTree(copy)).rejects.toMatchObject({ kind: 'notFound' });
    await removeTree(copy);
  });
});

it('finds its worker in a bundle', async () => {
  const out = join(base, 'dist');
  const entry = join(base, 'program.ts');
  writeFileSync(
    entry,
    `import { measureTree } from ${JSON.stringify(join(import.meta.dirname, '../src/tree.ts'))};
     measureTree(${JSON.stringify(root)}).then((usage) => console.log(usage.inodes));`,
  );
  for (const [name, source] of [
    ['program', entry],
    ['archive-worker', join(import.meta.dirname, '../src/archive-worker.ts')],
  ] as const) {
    await build({
      entryPoints: [source],
      outfile: join(out, `${name}.cjs`),
      bundle: true,
      platform: 'node',
      format: 'cjs',
      conditions: ['@boxship/source'],
      external: ['koffi'],
      define: { 'import.meta.url': '__bundle_url' },
      banner: { js: "const __bundle_url = require('node:url').pathToFileURL(__filename).href;" },
      logLevel: 'silent',
    });
  }
  mkdirSync(join(out, 'node_modules'));
  symlinkSync(join(import.meta.dirname, '../node_modules/koffi'), join(out, 'node_modules/koffi'));
  expect(execFileSync(process.execPath, [join(out, 'program.cjs')], { encoding: 'utf8' })).toBe('6\n');
  expect(readFileSync(join(out, 'program.cjs'), 'utf8')).toContain('archive-worker');
});

it('applies what it packs while both run at once', async () => {
  const out = join(base, 'out');
  mkdirSync(out);
  const packed = pack({ kind: 'changes', upper: root });
  const summary = await applyArchive(packed.chunks, { kind: 'tree', root: out });
  expect(summary).toEqual(packed.summary());
});

it('keeps jobs apart on a worker that is used again', async () => {
  const bad = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 20; i++) yield Buffer.alloc(1024 * 1024, 0x41); // refused at the first block, while more is on its way
  };
  for (let round = 0; round < 10; round++) {
    const out = join(base, `out-${round}`);
    mkdirSync(out);
    await expect(applyArchive(bad(), { kind: 'tree', root: out })).rejects.toMatchObject({ kind: 'invalidArgument' });
    for await (const _ of pack({ kind: 'changes', upper: '/usr/bin' }).chunks) break;
    const summary = await applyArchive(pack({ kind: 'changes', upper: root }).chunks, { kind: 'tree', root: out });
    expect(summary.entries).toBe(6);
  }
});
