/** Layers that are unpacked while they come: nothing is kept before its digest is known, whatever happens on the way. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BoxshipError, poll } from '@boxship/base';
import { chainIds, digestHex } from '@boxship/oci';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Applier,
  FsContentStore,
  LocalApplier,
  MemoryImageStore,
  OverlaySnapshotter,
  type PullEvent,
  type PullOptions,
  pull,
  Registry,
  SqliteLabelStore,
  withMounts,
} from '../src/index.ts';
import { hasRegistry, startRegistry, type TestRegistry } from './support/docker-registry.ts';
import { type Fault, faultyProxy } from './support/faulty-proxy.ts';
import { makeLayout, upload } from './support/images.ts';

const MB = 1_000_000;
const big = randomBytes(12 * MB);
/** In the header of gzip, where the time is: other bytes, the same archive. */
const gzipTime = 4;

describe.skipIf(!hasRegistry || process.getuid?.() !== 0)('a layer on its way', () => {
  let origin: TestRegistry;
  beforeAll(async () => {
    origin = await startRegistry();
    const layers = [{ a: 'one', big }, { f: 'two' }];
    using layout = makeLayout([{ platform: { os: 'linux', architecture: 'amd64' }, layers }], { isSingle: true });
    await upload(layout, origin.host, 'big:1');
  });
  afterAll(() => origin[Symbol.asyncDispose]());

  let root: string;
  let content: FsContentStore;
  let snapshotter: OverlaySnapshotter;
  let registry: Registry;
  const openStores = () => {
    content = new FsContentStore({
      root: join(root, 'content'),
      labels: new SqliteLabelStore(join(root, 'labels.db')),
    });
    snapshotter = new OverlaySnapshotter({ root: join(root, 'snapshots'), isDurable: false });
  };
  const closeStores = async () => {
    await snapshotter.close();
    content[Symbol.dispose]();
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'way-'));
    openStores();
    registry = new Registry();
  });
  afterEach(async () => {
    await registry[Symbol.asyncDispose]();
    await closeStores();
    rmSync(root, { recursive: true, force: true });
  });
  const run = (reference: string, extra: Partial<PullOptions> = {}, applier: Applier = new LocalApplier(content)) =>
    pull({
      reference,
      registry,
      content,
      images: new MemoryImageStore(),
      unpack: { snapshotter, snapshotterName: 'overlayfs', applier },
      ...extra,
    });
  const through = async (fault: Fault, work: (proxy: Awaited<ReturnType<typeof faultyProxy>>) => Promise<void>) => {
    await using proxy = await faultyProxy(origin.host, fault);
    await work(proxy);
  };
  const isBlob = (path: string): boolean => path.includes('/blobs/');
  const snapshots = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const { name } of snapshotter.list()) names.push(name);
    return names;
  };
  const checkWhole = async (pulled: Awaited<ReturnType<typeof run>>): Promise<void> => {
    const chain = chainIds(pulled.config.rootfs.diff_ids);
    await withMounts(await snapshotter.view('look', chain.at(-1) ?? ''), async (path) => {
      expect(readdirSync(path).sort()).toEqual(['a', 'big', 'f']);
      expect(readFileSync(join(path, 'big')).equals(big)).toBe(true);
    });
    for await (const { digest } of content.walk()) {
      const bytes = readFileSync(join(root, 'content/blobs/sha256', digestHex(digest)));
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(digestHex(digest));
    }
    for await (const { ref } of content.statuses()) expect(ref).toBe('none');
  };

  it('is unpacked before it is in the store, and told in the order that clients know', async () => {
    const local = new LocalApplier(content);
    const inStore: boolean[] = [];
    const isThere = (digest: Parameters<typeof content.info>[0]) =>
      content.info(digest).then(
        () => true,
        () => false,
      );
    const applier: Applier = {
      apply: (...args) => local.apply(...args),
      applyFrom: async (open, descriptor, ...rest) => {
        inStore.push(await isThere(descriptor.digest));
        return await local.applyFrom(open, descriptor, ...rest);
      },
    };
    const events: PullEvent[] = [];
    await through(
      ({ path }) => (isBlob(path) ? { bytesPerSecond: 20 * MB } : undefined),
      async ({ host }) =>
        await checkWhole(await run(`${host}/big:1`, { onProgress: (event) => events.push(event) }, applier)),
    );
    expect(inStore[0]).toBe(false);
    const layers = events.flatMap((event) => (event.kind === 'layer' ? [event] : []));
    const first = layers.filter(({ digest }) => digest === layers[0]?.digest).map(({ state }) => state);
    expect(first.filter((state, index) => state !== first[index - 1])).toEqual([
      'pulling',
      'downloading',
      'verifying',
      'downloaded',
      'extracting',
      'complete',
    ]);
  });

  it('that is not what it is called leaves no snapshot, even if what it unpacks to is right', async () => {
    await through(
      ({ path, method }) => (method === 'GET' && isBlob(path) ? { corruptAt: gzipTime } : undefined),
      async ({ host }) => {
        await expect(run(`${host}/big:1`)).rejects.toMatchObject({ kind: 'dataLoss' });
        expect(await snapshots()).toEqual([]);
      },
    );
    await checkWhole(await run(`${origin.host}/big:1`));
  });

  it('is fetched and unpacked anew when what an earlier attempt left has changed', async () => {
    await through(
      ({ path }, count) => (isBlob(path) && count === 0 ? { cutAfter: 6 * MB } : undefined),
      async ({ host }) => {
        const controller = new AbortController();
        const onProgress = ({ kind }: PullEvent) =>
          kind === 'retrying' && controller.abort(new BoxshipError('cancelled', 'enough'));
        await expect(run(`${host}/big:1`, { signal: controller.signal, onProgress })).rejects.toThrow('enough');
      },
    );
    expect(await snapshots()).toEqual([]);
    for (const name of readdirSync(join(root, 'content/ingest'))) {
      const fd = openSync(join(root, 'content/ingest', name, 'data'), 'r+');
      writeSync(fd, 'otherwise', 100_000);
      closeSync(fd);
    }
    await checkWhole(await run(`${origin.host}/big:1`));
  });

  it('leaves no snapshot when the process is killed, and comes whole afterwards', async () => {
    await closeStores();
    await through(
      ({ path }) => (isBlob(path) ? { bytesPerSecond: 8 * MB } : undefined),
      async ({ host }) => {
        const program = join(import.meta.dirname, 'support/pull-program.ts');
        const args = ['--no-warnings', '--conditions=@boxship/source', program, `${host}/big:1`, root];
        const child = spawn(process.execPath, args, { stdio: 'ignore' });
        const ended = new Promise((resolve) => child.once('exit', resolve));
        const isUnpacking = await poll({ everyMs: 2, timeoutMs: 20_000 }, () =>
          existsSync(join(root, 'snapshots/snapshots/1/fs/big')) || child.exitCode !== null ? true : undefined,
        );
        child.kill('SIGKILL');
        await ended;
        expect([isUnpacking, child.signalCode]).toEqual([true, 'SIGKILL']);
      },
    );
    openStores();
    expect((await snapshots()).filter((name) => !name.startsWith('extract-'))).toEqual([]);
    await checkWhole(await run(`${origin.host}/big:1`));
  });
});
