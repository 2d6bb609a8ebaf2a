/** The content contract on both drivers, and what only files can show. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestHex, digestOf } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FsContentStore } from '../src/content/fs-store.ts';
import { MemoryContentStore } from '../src/content/memory-store.ts';
import { SqliteLabelStore } from '../src/content/sqlite-label-store.ts';
import { contentSuite } from '../src/testsuite/content.ts';

contentSuite('memory', async () => ({ store: new MemoryContentStore(), close: async () => {} }));

contentSuite('files', async () => {
  const root = mkdtempSync(join(tmpdir(), 'content-'));
  const open = () => new FsContentStore({ root, labels: new SqliteLabelStore(join(root, 'labels.db')) });
  const stores = [open()];
  return {
    store: stores[0] as FsContentStore,
    reopen: async () => {
      stores.push(open());
      return stores.at(-1) as FsContentStore;
    },
    close: async () => {
      for (const store of stores) store[Symbol.dispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
});

describe('the directory of a content store', () => {
  let root: string;
  let store: FsContentStore;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'content-layout-'));
    store = new FsContentStore({ root, labels: new SqliteLabelStore(join(root, 'labels.db')) });
  });
  afterEach(() => {
    store[Symbol.dispose]();
    rmSync(root, { recursive: true, force: true });
  });

  it('has the layout that containerd has', async () => {
    await using writer = await store.writer({ ref: 'my ref', total: 4 });
    await writer.write(Buffer.from('data'));
    const [ingest = ''] = readdirSync(join(root, 'ingest'));
    expect(ingest).toBe(digestHex(digestOf('my ref')));
    expect(readdirSync(join(root, 'ingest', ingest)).sort()).toEqual([
      'data',
      'ref',
      'startedat',
      'total',
      'updatedat',
    ]);
    expect(readFileSync(join(root, 'ingest', ingest, 'ref'), 'utf8')).toBe('my ref');
    const digest = await writer.commit();
    const blob = join(root, 'blobs/sha256', digestHex(digest));
    expect(statSync(blob).mode & 0o7777).toBe(0o444);
    expect(readdirSync(join(root, 'ingest'))).toEqual([]);
  });

  it('survives an interrupted start of a write', async () => {
    const directory = join(root, 'ingest', digestHex(digestOf('half')));
    mkdirSync(directory);
    writeFileSync(join(directory, 'ref'), 'half');
    await using writer = await store.writer({ ref: 'half' });
    expect(writer.status().offset).toBe(0);
    await writer.write(Buffer.from('x'));
    expect(await writer.commit()).toBe(digestOf('x'));
  });

  it('forgets what a kill left between the blob and the end of its ingest', () => {
    mkdirSync(join(root, 'ingest/abc'));
    writeFileSync(join(root, 'ingest/abc/ref'), 'committed');
    using _again = new FsContentStore({ root });
    expect(readdirSync(join(root, 'ingest'))).toEqual([]);
  });

  it('puts a damaged label database aside', async () => {
    const path = join(root, 'damaged.db');
    writeFileSync(path, Buffer.alloc(8192, 'no database'));
    const labels = new SqliteLabelStore(path);
    expect(labels.get(digestOf('x'))).toBeUndefined();
    labels.set(digestOf('x'), { a: 'b' });
    expect(labels.get(digestOf('x'))?.labels).toEqual({ a: 'b' });
    labels.close();
    expect(readdirSync(root).some((name) => name.startsWith('damaged.db.corrupt-'))).toBe(true);
  });

  it('loses nothing committed when the process is killed in the middle of the next write', async () => {
    const script = `
      import { FsContentStore } from ${JSON.stringify(join(import.meta.dirname, '../src/content/fs-store.ts'))};
      const store = new FsContentStore({ root: ${JSON.stringify(root)} });
      const first = await store.writer({ ref: 'a' });
      await first.write(Buffer.from('committed'));
      await first.commit();
      const second = await store.writer({ ref: 'b', total: 9 });
      await second.write(Buffer.from('half'));
      process.kill(process.pid, 'SIGKILL');`;
    expect(() =>
      execFileSync(
        process.execPath,
        ['--conditions=@boxship/source', '--no-warnings', '--input-type=module', '-e', script],
        { stdio: 'pipe' },
      ),
    ).toThrow('SIGKILL');
    expect(existsSync(join(root, 'blobs/sha256', digestHex(digestOf('committed'))))).toBe(true);
    await using writer = await store.writer({ ref: 'b', total: 9 });
    expect(writer.status().offset).toBe(4);
    await writer.write(Buffer.from(' done'));
    expect(await writer.commit({ expected: digestOf('half done') })).toBe(digestOf('half done'));
  });
});
