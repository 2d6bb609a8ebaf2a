/** Pulling from a real registry that skopeo has filled, into real snapshots, and from one that misbehaves. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import { chainIds, type Digest, parsePlatform } from '@boxship/oci';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  configureHosts,
  FsContentStore,
  LocalApplier,
  labelKeys,
  MemoryImageStore,
  OverlaySnapshotter,
  type PullEvent,
  type PullOptions,
  pull,
  push,
  Registry,
  SqliteLabelStore,
  withMounts,
} from '../src/index.ts';
import { hasRegistry, startRegistry, type TestRegistry } from './support/docker-registry.ts';
import { type Fault, faultyProxy } from './support/faulty-proxy.ts';
import { makeLayout, skopeo, upload } from './support/images.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const layers = [
  { 'etc/os': 'one', del: 'x', 'd/below': 'x', big: randomBytes(2_000_000) },
  { '.wh.del': '', 'd/.wh..wh..opq': '', 'd/above': 'y', big2: randomBytes(1_500_000) },
  { 'etc/os': 'three' },
];

describe.skipIf(!hasRegistry || process.getuid?.() !== 0)('pull', () => {
  let origin: TestRegistry;
  beforeAll(async () => {
    origin = await startRegistry();
    using multi = makeLayout([
      { platform: amd64, layers },
      { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' }, layers: [{ arm: 'x' }] },
      { platform: { os: 'unknown', architecture: 'unknown' }, layers: [{ attestation: 'x' }] },
    ]);
    await upload(multi, origin.host, 'multi:1');
    using zstd = makeLayout([{ platform: amd64, layers, compression: 'zstd' }], { isSingle: true });
    await upload(zstd, origin.host, 'zstd:1');
    using same = makeLayout([{ platform: amd64, layers: [{ a: 'x' }, { a: 'x' }, {}] }], { isSingle: true });
    await upload(same, origin.host, 'same:1');
  });
  afterAll(() => origin[Symbol.asyncDispose]());

  let root: string;
  let content: FsContentStore;
  let snapshotter: OverlaySnapshotter;
  let images: MemoryImageStore;
  let registry: Registry;
  let events: PullEvent[];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'pull-'));
    content = new FsContentStore({
      root: join(root, 'content'),
      labels: new SqliteLabelStore(join(root, 'labels.db')),
    });
    snapshotter = new OverlaySnapshotter({ root: join(root, 'snapshots'), isDurable: false });
    images = new MemoryImageStore();
    registry = new Registry();
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
      images,
      unpack: { snapshotter, snapshotterName: 'overlayfs', applier: new LocalApplier(content) },
      onProgress: (event) => events.push(event),
      ...extra,
    });
  const states = (digest: Digest): string[] => {
    const all = events.flatMap((event) => (event.kind === 'layer' && event.digest === digest ? [event.state] : []));
    return all.filter((state, index) => state !== all[index - 1]);
  };
  const show = async (top: string): Promise<Record<string, string>> =>
    withMounts(await snapshotter.view(`view-${top}`, top), async (path) => ({
      os: readFileSync(join(path, 'etc/os'), 'utf8'),
      names: [...readdirSync(path), ...readdirSync(join(path, 'd'))].sort().join(' '),
    }));

  it.each(['multi:1', 'zstd:1'])('unpacks %s for this host', async (name) => {
    const pulled = await run(`${origin.host}/${name}`);
    const top = chainIds(pulled.config.rootfs.diff_ids).at(-1) as Digest;
    expect(await show(top)).toEqual({ os: 'three', names: 'above big big2 d etc' });
    expect(pulled).toMatchObject({ name: `${origin.host}/${name}`, isNewer: true });
    expect((await images.get(pulled.name)).target).toEqual(pulled.target);
    for await (const status of content.statuses()) expect(status).toBeUndefined();
  });

  it('labels content as containerd does', async () => {
    const { target, manifest, config } = await run(`${origin.host}/multi:1`);
    const labelsOf = async (digest: Digest) => (await content.info(digest)).labels;
    const source = { [`${labelKeys.distributionSource}.${origin.host}`]: 'multi' };
    expect(await labelsOf(target.digest)).toMatchObject({
      ...source,
      [`${labelKeys.gcRefContent}.m.0`]: manifest.digest,
    });
    const below = await labelsOf(manifest.digest);
    const configDigest = below[`${labelKeys.gcRefContent}.config`] as Digest;
    expect(await labelsOf(configDigest)).toEqual({
      ...source,
      [`${labelKeys.gcRefSnapshot}.overlayfs`]: chainIds(config.rootfs.diff_ids).at(-1),
    });
    for (const [index, diffId] of config.rootfs.diff_ids.entries())
      expect(await labelsOf(below[`${labelKeys.gcRefContent}.l.${index}`] as Digest)).toEqual({
        ...source,
        [labelKeys.uncompressed]: diffId,
      });
  });

  it('tells what happens, layer by layer', async () => {
    const { manifest } = await run(`${origin.host}/multi:1`, { concurrency: 1 });
    const labels = (await content.info(manifest.digest)).labels;
    const [first, second] = [0, 1].map((n) => labels[`${labelKeys.gcRefContent}.l.${n}`] as Digest);
    expect(states(first as Digest)).toEqual([
      'pulling',
      'downloading',
      'verifying',
      'downloaded',
      'extracting',
      'complete',
    ]);
    expect(states(second as Digest)).toEqual([
      'pulling',
      'waiting',
      'downloading',
      'verifying',
      'downloaded',
      'extracting',
      'complete',
    ]);
    expect(events[0]).toEqual({ kind: 'resolving', reference: `${origin.host}/multi:1` });
    expect(events.at(-1)).toMatchObject({ kind: 'done', isNewer: true });
    events = [];
    expect(await run(`${origin.host}/multi:1`)).toMatchObject({ isNewer: false });
    expect(states(first as Digest).at(-1)).toBe('exists');
  });

  it('takes the platform that is asked for', async () => {
    const arm = await run(`${origin.host}/multi:1`, { platform: parsePlatform('linux/arm64') });
    expect(arm.config.architecture).toBe('arm64');
    await expect(run(`${origin.host}/multi:1`, { platform: parsePlatform('linux/s390x') })).rejects.toThrow(
      'no matching manifest for linux/s390x in the manifest list entries',
    );
    await expect(run(`${origin.host}/zstd:1`, { platform: parsePlatform('linux/s390x') })).rejects.toMatchObject({
      kind: 'notFound',
    });
  });

  it('pulls by digest', async () => {
    const { target } = await run(`${origin.host}/multi:1`);
    const by = await run(`${origin.host}/multi@${target.digest}`);
    expect(by.name).toBe(`${origin.host}/multi@${target.digest}`);
    expect(by.target.digest).toBe(target.digest);
  });

  it('says what is missing', async () => {
    await expect(run(`${origin.host}/multi:nope`)).rejects.toMatchObject({
      kind: 'notFound',
      message: expect.stringMatching(/manifest unknown/),
    });
    await expect(run(`${origin.host}/nothing:1`)).rejects.toMatchObject({ kind: 'notFound' });
  });

  it('fetches a layer that occurs twice once, and empty layers', async () => {
    await using proxy = await faultyProxy(origin.host, () => undefined);
    const { config } = await run(`${proxy.host}/same:1`);
    expect(config.rootfs.diff_ids).toHaveLength(3);
    expect(proxy.seen.filter(({ path }) => path.includes('/blobs/'))).toHaveLength(3);
  });

  it('shares the work of two pulls at once', async () => {
    await using proxy = await faultyProxy(origin.host, () => undefined);
    const [one, two] = await Promise.all([run(`${proxy.host}/multi:1`), run(`${proxy.host}/multi:1`)]);
    expect(one.target).toEqual(two.target);
    const layersAsked = proxy.seen
      .filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))
      .map(({ path }) => path);
    expect(new Set(layersAsked).size).toBe(4);
    expect(layersAsked.length).toBe(4);
    expect(await show(chainIds(one.config.rootfs.diff_ids).at(-1) as Digest)).toMatchObject({ os: 'three' });
  });

  describe('from a registry that misbehaves', () => {
    const through = async (
      fault: Fault,
      work: (host: string, proxy: Awaited<ReturnType<typeof faultyProxy>>) => Promise<void>,
    ): Promise<void> => {
      await using proxy = await faultyProxy(origin.host, fault);
      await work(proxy.host, proxy);
    };
    const isBlob = (path: string): boolean => path.includes('/blobs/');
    const startOf = (range: string | undefined): number => Number(/^bytes=(\d+)-$/.exec(range ?? 'bytes=0-')?.[1]);

    it('goes on where a connection was cut', async () => {
      await through(
        ({ method, path }, count) =>
          method === 'GET' && isBlob(path) && count < 3 ? { cutAfter: 400_000 } : undefined,
        async (host, proxy) => {
          const { config } = await run(`${host}/multi:1`);
          expect(await show(chainIds(config.rootfs.diff_ids).at(-1) as Digest)).toMatchObject({ os: 'three' });
          // bytes that were on their way when the connection was cut may be asked for again, but no more than those
          const gets = proxy.seen.filter(({ method, path }) => method === 'GET' && isBlob(path));
          for (const blob of new Set(gets.map(({ path }) => path))) {
            const starts = gets.filter(({ path }) => path === blob).map(({ headers }) => startOf(headers.range));
            for (const [index, start] of starts.entries()) {
              if (index === 0) continue;
              const step = start - (starts[index - 1] ?? 0);
              expect(step).toBeLessThanOrEqual(400_000);
              expect(step).toBeGreaterThan(300_000);
            }
          }
          expect(gets.filter(({ headers }) => headers.range !== undefined).length).toBeGreaterThanOrEqual(3);
        },
      );
    });

    it('goes on where the last pull stopped', async () => {
      let isCut = true;
      await through(
        ({ method, path }) => (isCut && method === 'GET' && isBlob(path) ? { cutAfter: 400_000 } : undefined),
        async (host, proxy) => {
          const controller = new AbortController();
          const failing = run(`${host}/zstd:1`, {
            signal: controller.signal,
            onProgress: (event) =>
              event.kind === 'retrying' && controller.abort(new BoxshipError('cancelled', 'enough')),
          });
          await expect(failing).rejects.toMatchObject({ kind: 'cancelled' });
          isCut = false;
          const before = proxy.seen.length;
          await run(`${host}/zstd:1`);
          const ranges = proxy.seen.slice(before).flatMap(({ headers }) => headers.range ?? []);
          expect(ranges.length).toBeGreaterThan(0);
        },
      );
    });

    it('stores nothing under a digest that it has not', async () => {
      await through(
        ({ method, path }) => (method === 'GET' && isBlob(path) ? { corrupt: true } : undefined),
        async (host) => {
          await expect(run(`${host}/zstd:1`)).rejects.toMatchObject({ kind: 'dataLoss' });
          const { target } = await resolvedBlobs(host);
          expect(
            await content.info(target).then(
              () => 'there',
              () => 'absent',
            ),
          ).toBe('there'); // the manifest itself
          for await (const info of content.walk()) expect(info.digest).toBe(target);
        },
      );
      await run(`${origin.host}/zstd:1`);
    });
    const resolvedBlobs = async (host: string): Promise<{ target: Digest }> => {
      const answer = await fetch(`http://${host}/v2/zstd/manifests/1`, {
        method: 'HEAD',
        headers: { accept: '*/*, application/vnd.oci.image.manifest.v1+json' },
      });
      return { target: answer.headers.get('docker-content-digest') as Digest };
    };

    it('refuses a manifest that was tampered with', async () => {
      await through(
        ({ method, path }) => (method === 'GET' && path.includes('/manifests/') ? { corrupt: true } : undefined),
        async (host) => {
          await expect(run(`${host}/multi:1`)).rejects.toMatchObject({
            kind: 'dataLoss',
            message: expect.stringContaining('manifest verification failed'),
          });
        },
      );
    });

    it.each([429, 503])('waits and asks again after %i', async (status) => {
      await through(
        ({ path }, count) =>
          count < 1 && path.includes('/manifests/') ? { status, headers: { 'retry-after': '0.01' } } : undefined,
        async (host) => {
          await run(`${host}/multi:1`);
          expect(events.some((event) => event.kind === 'retrying')).toBe(true);
        },
      );
    });

    it('gives up at once where asking again is no use', async () => {
      await through(
        ({ path, method }) =>
          method === 'GET' && isBlob(path)
            ? { status: 404, body: '{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}' }
            : undefined,
        async (host, proxy) => {
          await expect(run(`${host}/zstd:1`)).rejects.toMatchObject({
            kind: 'notFound',
            message: 'blob unknown: blob unknown to registry',
          });
          const asked = proxy.seen.filter(({ path }) => isBlob(path)).map(({ path }) => path);
          expect(new Set(asked).size).toBe(asked.length);
        },
      );
    });

    it('gives credentials to nobody but the registry', async () => {
      await using storage = await faultyProxy(origin.host, () => undefined);
      const authenticated = new Registry({ credentials: async () => ({ username: 'u', password: 'secret' }) });
      await through(
        ({ method, path, headers }) => {
          if (headers.authorization === undefined)
            return { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } };
          return method === 'GET' && isBlob(path)
            ? { status: 307, headers: { location: `http://${storage.host}${path}` } }
            : undefined;
        },
        async (host, proxy) => {
          await run(`${host}/multi:1`, { registry: authenticated });
          expect(proxy.seen.some(({ headers }) => headers.authorization === `Basic ${btoa('u:secret')}`)).toBe(true);
          expect(storage.seen.length).toBeGreaterThan(0);
          for (const { headers } of storage.seen) expect(headers.authorization).toBeUndefined();
        },
      );
      await authenticated[Symbol.asyncDispose]();
    });

    it('gets a token for each scope and gets a new one when it has run out', async () => {
      const asked: string[] = [];
      await using tokens = await faultyProxy(origin.host, ({ path, headers }) => {
        asked.push(`${path} ${headers.authorization ?? 'anonymous'}`);
        return {
          status: 200,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ token: `t${asked.length}`, expires_in: 300 }),
        };
      });
      const revoked = new Set<string | undefined>();
      await through(
        ({ path, headers }) => {
          if (path.includes('/blobs/')) revoked.add('Bearer t1');
          if (headers.authorization?.startsWith('Bearer ') && !revoked.has(headers.authorization)) return undefined;
          return {
            status: 401,
            headers: {
              'www-authenticate': `Bearer realm="http://${tokens.host}/token",service="s v",scope="repository:multi:pull"`,
            },
          };
        },
        async (host) => {
          await run(`${host}/multi:1`, {
            registry: new Registry({ credentials: async () => ({ username: 'u', password: 'p' }) }),
            concurrency: 1,
          });
          expect(asked.length).toBeGreaterThanOrEqual(2);
          expect(asked[0]).toBe(`/token?service=s+v&scope=repository%3Amulti%3Apull&account=u Basic ${btoa('u:p')}`);
        },
      );
    });

    it('tells a foreign realm nothing', async () => {
      const warned: string[] = [];
      const log = {
        debug() {},
        info() {},
        warn: (message: string) => warned.push(message),
        error() {},
        child: () => log,
      };
      await through(
        () => ({
          status: 401,
          headers: { 'www-authenticate': 'Bearer realm="http://169.254.169.254/token",service="s"' },
        }),
        async (host) => {
          const careful = new Registry({ credentials: async () => ({ username: 'u', password: 'p' }), log });
          await expect(run(`${host}/multi:1`, { registry: careful })).rejects.toMatchObject({
            kind: 'permissionDenied',
          });
          expect(warned).toEqual(['token realm is foreign to the registry and gets no credentials']);
        },
      );
    });
  });

  it('uses mirrors for docker.io only, and the origin when they fail', async () => {
    const hosts = configureHosts({ mirrors: ['http://127.0.0.1:1', `http://${origin.host}`] });
    expect((await hosts('docker.io')).map(({ host }) => host)).toEqual([
      '127.0.0.1:1',
      origin.host,
      'registry-1.docker.io',
    ]);
    expect((await hosts('example.com')).map(({ host }) => host)).toEqual(['example.com']);
    using library = makeLayout([{ platform: amd64, layers: [{ a: 'x' }] }], { isSingle: true });
    await upload(library, origin.host, 'library/mirrored:1');
    const pulled = await run('mirrored:1', { registry: new Registry({ hosts }) });
    expect(pulled.name).toBe('docker.io/library/mirrored:1');
  });

  it('logs in with basic auth where the registry wants it', async () => {
    await using closed = await startRegistry({ login: { user: 'me', password: 'pw' } });
    using layout = makeLayout([{ platform: amd64, layers: [{ a: 'x' }] }], { isSingle: true });
    await upload(layout, closed.host, 'private:1', 'me:pw');
    await expect(run(`${closed.host}/private:1`)).rejects.toMatchObject({
      kind: 'unauthenticated',
      message: expect.stringContaining('no basic auth credentials'),
    });
    const wrong = new Registry({ credentials: async () => ({ username: 'me', password: 'no' }) });
    await expect(run(`${closed.host}/private:1`, { registry: wrong })).rejects.toMatchObject({
      kind: 'unauthenticated',
    });
    const right = new Registry({ credentials: async () => ({ username: 'me', password: 'pw' }) });
    expect(await run(`${closed.host}/private:1`, { registry: right })).toMatchObject({ isNewer: true });
  });

  describe('push', () => {
    it('uploads what skopeo then reads, and skips or mounts what is there', async () => {
      await using other = await startRegistry();
      const pulled = await run(`${origin.host}/multi:1`, { isAllPlatforms: true });
      const pushed: string[] = [];
      const send = (name: string, extra = {}) =>
        push({
          reference: `${other.host}/${name}`,
          target: pulled.target,
          registry,
          content,
          onProgress: (event) =>
            event.kind === 'layer' &&
            event.state !== 'pushing' &&
            event.state !== 'preparing' &&
            pushed.push(event.state),
          ...extra,
        });
      await send('copy:1');
      expect(new Set(pushed)).toEqual(new Set(['pushed']));
      const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${other.host}/copy:1`);
      expect(JSON.parse(raw).manifests).toHaveLength(3);
      await skopeo(
        'copy',
        '--all',
        '--src-tls-verify=false',
        `docker://${other.host}/copy:1`,
        `oci:${join(root, 'out')}:t`,
      );
      pushed.length = 0;
      await send('copy:2');
      expect(new Set(pushed)).toEqual(new Set(['exists']));
      pushed.length = 0;
      await send('elsewhere:1');
      expect(new Set(pushed)).toEqual(new Set(['mounted']));
      expect(await send('one:1', { platform: parsePlatform('linux/amd64') })).toEqual(
        expect.objectContaining({ digest: pulled.manifest.digest }),
      );
    });

    it('refuses an index of which parts are missing', async () => {
      const { target } = await run(`${origin.host}/multi:1`);
      await expect(push({ reference: `${origin.host}/partial:1`, target, registry, content })).rejects.toMatchObject({
        kind: 'failedPrecondition',
      });
    });

    it('survives a cut upload', async () => {
      const { target, manifest } = await run(`${origin.host}/zstd:1`);
      expect(target).toEqual(manifest);
      await using proxy = await faultyProxy(origin.host, ({ method }, count) =>
        method === 'PATCH' && count === 0 ? { drop: true } : undefined,
      );
      await push({ reference: `${proxy.host}/again:1`, target, registry, content });
      await skopeo('copy', '--src-tls-verify=false', `docker://${origin.host}/again:1`, `oci:${join(root, 'again')}:t`);
    });
  });
});
