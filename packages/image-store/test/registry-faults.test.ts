/** Registries on bad days: slow, silent, cutting, lying, and a client that is killed. Nothing wrong is ever stored. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BoxshipError, poll } from '@boxship/base';
import { chainIds, type Descriptor, digestHex, isIndexType, parseManifest } from '@boxship/oci';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
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

const amd64 = { os: 'linux', architecture: 'amd64' };
const MB = 1_000_000;

describe.skipIf(!hasRegistry || process.getuid?.() !== 0)('a registry on a bad day', () => {
  let origin: TestRegistry;
  beforeAll(async () => {
    origin = await startRegistry();
    const put = async (name: string, layers: Parameters<typeof makeLayout>[0][0]['layers'], isIndexed = false) => {
      using layout = makeLayout([{ platform: amd64, layers }], { isSingle: !isIndexed });
      await upload(layout, origin.host, name);
    };
    await put(
      'box:1',
      [
        { f: 'one', big: randomBytes(3 * MB) },
        { f: 'two', big2: randomBytes(2 * MB) },
      ],
      true,
    );
    await put('small:1', [{ f: 'small', bytes: randomBytes(60_000) }]);
    await put('large:1', [{ a: randomBytes(24 * MB) }, { b: randomBytes(24 * MB) }, { f: 'large' }]);
    // 300 MB of nothing in 300 kB
    await put('bomb:1', [{ f: 'x' }, { zeros: Buffer.alloc(300 * MB) }]);
  }, 120_000);
  afterAll(() => origin[Symbol.asyncDispose]());

  let root: string;
  let content: FsContentStore;
  let snapshotter: OverlaySnapshotter;
  let registry: Registry;
  let events: PullEvent[];
  const openStores = () => {
    content = new FsContentStore({
      root: join(root, 'content'),
      labels: new SqliteLabelStore(join(root, 'labels.db')),
    });
    snapshotter = new OverlaySnapshotter({ root: join(root, 'snapshots'), isDurable: false });
  };
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'faults-'));
    openStores();
    registry = new Registry({ waits: { stallMs: 500 } });
    events = [];
  });
  afterEach(async () => {
    await registry[Symbol.asyncDispose]();
    await snapshotter.close();
    content[Symbol.dispose]();
    rmSync(root, { recursive: true, force: true });
  });
  const run = (reference: string, extra: Partial<PullOptions> = {}) =>
    pull({
      reference,
      registry,
      content,
      images: new MemoryImageStore(),
      unpack: { snapshotter, snapshotterName: 'overlayfs', applier: new LocalApplier(content) },
      onProgress: (event) => events.push(event),
      ...extra,
    });
  const through = async (fault: Fault, work: (proxy: Awaited<ReturnType<typeof faultyProxy>>) => Promise<void>) => {
    await using proxy = await faultyProxy(origin.host, fault);
    await work(proxy);
  };
  const isBlob = (path: string): boolean => path.includes('/blobs/');
  /** Bytes of everything that is stored, each checked against its name. */
  const storedBytes = async (): Promise<number> => {
    let sum = 0;
    for await (const { digest, size } of content.walk()) {
      const bytes = readFileSync(join(root, 'content/blobs/sha256', digestHex(digest)));
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(digestHex(digest));
      sum += size;
    }
    return sum;
  };
  const fileIn = async (pulled: Awaited<ReturnType<typeof run>>, name = 'f'): Promise<string> =>
    withMounts(await snapshotter.view('look', chainIds(pulled.config.rootfs.diff_ids).at(-1) ?? ''), async (path) =>
      readFileSync(join(path, name), 'utf8'),
    );

  describe('that is slow', () => {
    it('is waited for as long as something comes, and what comes is told', async () => {
      await through(
        ({ path }) => (isBlob(path) ? { bytesPerSecond: 40_000 } : { delayMs: 700 }),
        async (proxy) => {
          expect(await fileIn(await run(`${proxy.host}/small:1`))).toBe('small');
          const told = events.flatMap((event) =>
            event.kind === 'layer' && event.state === 'downloading' ? [event.current] : [],
          );
          expect(told.length).toBeGreaterThan(0);
          expect(events.some(({ kind }) => kind === 'retrying')).toBe(false);
        },
      );
    });

    it('is asked for the rest when it falls silent', async () => {
      await through(
        ({ path }, count) => (isBlob(path) && count === 0 ? { stallAfter: 100_000 } : undefined),
        async (proxy) => {
          expect(await fileIn(await run(`${proxy.host}/box:1`))).toBe('two');
          const ranges = proxy.seen.flatMap(({ headers }) => headers.range ?? []);
          expect(ranges.length).toBeGreaterThanOrEqual(2);
          expect(proxy.blobBytes()).toBeLessThanOrEqual((await storedBytes()) * 1.2);
        },
      );
    });

    it('is left within a second when nobody wants it any more', async () => {
      registry = new Registry();
      await through(
        ({ path }) => (isBlob(path) ? { stallAfter: 100_000 } : undefined),
        async (proxy) => {
          const controller = new AbortController();
          const pulling = run(`${proxy.host}/box:1`, { signal: controller.signal }).catch((error: unknown) => error);
          await poll({ everyMs: 10, timeoutMs: 10_000 }, () => (proxy.blobBytes() > 100_000 ? true : undefined));
          controller.abort(new BoxshipError('cancelled', 'enough'));
          const late = new Promise((resolve) => setTimeout(() => resolve('late'), 1_000).unref());
          expect(await Promise.race([pulling, late])).toMatchObject({ kind: 'cancelled' });
        },
      );
    });
  });

  describe('that cuts', () => {
    it.each([1, 2, 3, 4])('is asked for the rest, wherever it cuts (%i)', async (round) => {
      const cuts: number[] = [];
      await through(
        ({ path }, count) => {
          if (!isBlob(path) || count >= 4) return undefined;
          const at = 60_000 + Math.floor(Math.random() * 500_000);
          cuts.push(at);
          return round % 2 === 0 ? { cutAfter: at } : { resetAfter: at };
        },
        async (proxy) => {
          const pulled = await run(`${proxy.host}/box:1`).catch((error: Error) => {
            throw new Error(`cut after ${cuts.join(', ')}: ${error.message}`, { cause: error });
          });
          expect(await fileIn(pulled)).toBe('two');
          // what was on its way when the connection was reset is lost to both
          const onTheWay = 400_000;
          const cutsOfLayers = proxy.seen.filter(({ headers }) => headers.range !== undefined).length;
          expect(proxy.blobBytes()).toBeLessThanOrEqual((await storedBytes()) * 1.2 + cutsOfLayers * onTheWay);
        },
      );
    });

    it.each([
      ['a number of seconds', '1'],
      ['a date', ''],
    ])('or wants to be left alone for %s, is left alone', async (_what, seconds) => {
      const asked: number[] = [];
      await through(
        ({ path }, count) => {
          if (!isBlob(path)) return undefined;
          if (count < 2) asked.push(performance.now());
          const after = seconds === '' ? new Date(Date.now() + 2_000).toUTCString() : seconds;
          return count === 0 ? { status: 429, headers: { 'retry-after': after } } : undefined;
        },
        async (proxy) => {
          await run(`${proxy.host}/small:1`);
          expect(Math.max(...asked) - Math.min(...asked)).toBeGreaterThanOrEqual(900);
        },
      );
    });

    it('and lets the token run out meanwhile, gets the rest with a new one', async () => {
      let given = 0;
      const good = (header: string | undefined): boolean => header === `Bearer t${given}`;
      await through(
        ({ path, headers }, count) => {
          if (path.startsWith('/token')) {
            given++;
            return { status: 200, body: JSON.stringify({ token: `t${given}`, expires_in: 3600 }) };
          }
          const challenge = { 'www-authenticate': `Bearer realm="http://${headers.host}/token",service="s"` };
          if (!good(headers.authorization)) return { status: 401, headers: challenge };
          if (!isBlob(path) || count > 2) return undefined;
          if (count === 1) given++; // every token so far is void
          return { cutAfter: 200_000 };
        },
        async (proxy) => {
          expect(await fileIn(await run(`${proxy.host}/box:1`))).toBe('two');
          expect(given).toBeGreaterThan(2);
          await storedBytes();
        },
      );
    });
  });

  describe('that lies', () => {
    it.each<[string, Awaited<ReturnType<Fault>>, object]>([
      ['other bytes', { corrupt: true }, { kind: 'dataLoss' }],
      ['one byte more', { lengthBy: 1 }, { kind: 'dataLoss' }],
      ['one byte less', { lengthBy: -1 }, { kind: 'unavailable' }],
    ])(
      'with %s is refused, and nothing of it is kept',
      async (_what, fault, expected) => {
        await through(
          ({ path, method }) => (method === 'GET' && isBlob(path) ? fault : undefined),
          async (proxy) => {
            await expect(run(`${proxy.host}/small:1`)).rejects.toMatchObject(expected);
            for await (const { digest } of content.walk()) expect(isIndexType(digest)).toBe(false);
            await storedBytes();
          },
        );
        // and the same stores take the right ones afterwards
        expect(await fileIn(await run(`${origin.host}/small:1`))).toBe('small');
      },
      60_000,
    );

    it('about the size of what it unpacks to is stopped, and the disk is as before', async () => {
      await expect(run(`${origin.host}/bomb:1`)).rejects.toMatchObject({ kind: 'resourceExhausted' });
      await snapshotter.cleanup();
      expect(readdirSync(join(root, 'snapshots/snapshots')).length).toBeLessThanOrEqual(1); // the layer before it
    });
  });

  it('costs a client that is killed again and again a fifth more bytes at most', async () => {
    await snapshotter.close();
    content[Symbol.dispose]();
    await through(
      ({ path }) => (isBlob(path) ? { bytesPerSecond: 10 * MB } : undefined),
      async (proxy) => {
        const program = join(import.meta.dirname, 'support/pull-program.ts');
        const args = ['--no-warnings', '--conditions=@boxship/source', program, `${proxy.host}/large:1`, root];
        for (let kills = 0; kills < 10; kills++) {
          const before = proxy.blobBytes();
          const child = spawn(process.execPath, args, { stdio: 'ignore' });
          const ended = new Promise((resolve) => child.once('exit', resolve));
          const enough = 1 * MB + Math.random() * 2 * MB;
          await poll({ everyMs: 2, timeoutMs: 20_000 }, () =>
            proxy.blobBytes() - before > enough || child.exitCode !== null ? true : undefined,
          );
          child.kill('SIGKILL');
          await ended;
        }
        openStores();
        expect(await fileIn(await run(`${proxy.host}/large:1`))).toBe('large');
        expect(proxy.blobBytes()).toBeLessThanOrEqual((await storedBytes()) * 1.2);
      },
    );
  }, 120_000);

  describe('brings back what has changed on the disk', () => {
    const flip = (path: string): void => {
      const fd = openSync(path, 'r+');
      const byte = Buffer.alloc(1);
      readSync(fd, byte, 0, 1, 40);
      writeSync(fd, Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, 40);
      closeSync(fd);
    };
    it.each(['index', 'manifest', 'config', 'layer'] as const)('of an %s', async (which) => {
      const first = await run(`${origin.host}/box:1`);
      const manifest = parseManifest(readFileSync(pathOf(first.manifest)));
      const [layer] = manifest.kind === 'manifest' ? manifest.layers : [];
      const config = manifest.kind === 'manifest' ? manifest.config : undefined;
      const blob = { index: first.target, manifest: first.manifest, config, layer }[which];
      if (blob === undefined) throw new Error(`the image has no ${which}`);
      flip(pathOf(blob));
      // a layer is read when it is unpacked: its snapshots are gone in this story
      for (const chain of chainIds(first.config.rootfs.diff_ids).toReversed()) await snapshotter.remove(chain);
      expect(await fileIn(await run(`${origin.host}/box:1`))).toBe('two');
      await storedBytes();
    });
    const pathOf = ({ digest }: Pick<Descriptor, 'digest'>): string =>
      join(root, 'content/blobs/sha256', digestHex(digest));
  });
});
