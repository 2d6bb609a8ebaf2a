/** The same requests to the reference daemon and to ours: keys, defaults and texts must be the same, but for a short list. */
import { type ContainerInspect, createEngineClient, type EngineClient } from '@boxship/engine-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing, startEngine, type TestEngine } from './harness.ts';
import { type Reference, startReference } from './reference.ts';

const reason = missing('docker', 'dockerd');

/** Every path in a document with the kind of what is there: objects, lists and null are told apart. */
function shape(value: unknown, at = ''): string[] {
  if (value === null) return [`${at} null`];
  if (Array.isArray(value)) return value.length === 0 ? [`${at} []`] : [`${at} [${typeof value[0]}]`];
  if (typeof value !== 'object') return [`${at} ${typeof value}`];
  const entries = Object.entries(value);
  if (entries.length === 0) return [`${at} {}`];
  return entries.flatMap(([key, item]) => shape(item, `${at}.${key}`)).sort();
}

describe.skipIf(reason !== undefined)('against the reference daemon', () => {
  let ours: TestEngine;
  let mine: EngineClient;
  let reference: Reference;
  beforeAll(async () => {
    ours = await startEngine();
    mine = createEngineClient({ host: `unix://${ours.socket}`, apiVersion: '1.41' });
    reference = await startReference();
  });
  afterAll(async () => {
    await reference[Symbol.asyncDispose]();
    await mine[Symbol.asyncDispose]();
    await ours[Symbol.asyncDispose]();
  });
  const both = async <T>(work: (client: EngineClient) => Promise<T>): Promise<[T, T]> => [
    await work(reference.client),
    await work(mine),
  ];
  const inspect = (name: string, body: object) =>
    both(async (client) => {
      await client.containers.create({ Image: 'busybox', Cmd: ['sleep', '1000'], ...body }, { name });
      return await client.containers.inspect(name);
    });

  /**
   * What differs on purpose, as in the current engine: more masked paths, capabilities with their prefix, never null for the
   * port bindings nor an empty name for the restart policy.
   */
  const comparable = (host: ContainerInspect['HostConfig']) => ({
    ...host,
    MaskedPaths: [],
    PortBindings: host.PortBindings ?? {},
    RestartPolicy: { ...host.RestartPolicy, Name: host.RestartPolicy.Name || 'no' },
    CapAdd: host.CapAdd?.map((name) => name.toUpperCase().replace(/^(?!CAP_)/, 'CAP_')) ?? null,
    CapDrop: host.CapDrop?.map((name) => name.toUpperCase().replace(/^(?!CAP_)/, 'CAP_')) ?? null,
  });

  it('shows a created container with the same keys and the same defaults', async () => {
    const [theirs, own] = await inspect('plain', { HostConfig: { NetworkMode: 'none' } });
    expect(Object.keys(own)).toEqual(Object.keys(theirs));
    expect(Object.keys(own.State)).toEqual(Object.keys(theirs.State));
    expect(Object.keys(own.Config)).toEqual(Object.keys(theirs.Config));
    // the order of HostConfig and NetworkSettings is that of the current engine
    expect(Object.keys(own.HostConfig).sort()).toEqual(Object.keys(theirs.HostConfig).sort());
    expect(comparable(own.HostConfig)).toEqual(comparable(theirs.HostConfig));
    expect(own.HostConfig.MaskedPaths).toEqual(expect.arrayContaining(theirs.HostConfig.MaskedPaths ?? []));
    const plain = (config: ContainerInspect['Config']) => ({ ...config, Hostname: '' });
    expect(plain(own.Config)).toEqual(plain(theirs.Config));
    expect(own.State).toEqual(theirs.State);
    expect(shape(own.NetworkSettings)).toEqual(shape(theirs.NetworkSettings));
  });

  it('shows everything that can be asked for', async () => {
    const [theirs, own] = await inspect('full', {
      Hostname: 'hh', User: '1', Env: ['A=1'], Labels: { a: 'b' }, WorkingDir: '/tmp', Tty: true, OpenStdin: true, StopSignal: 'SIGUSR1',
      StopTimeout: 3, ExposedPorts: { '80/tcp': {}, '53/udp': {} }, Volumes: { '/anon': {} }, Healthcheck: { Test: ['CMD', 'true'], Interval: 5e9 },
      HostConfig: {
        NetworkMode: 'none', Binds: ['named:/data', '/etc:/host:ro'], Tmpfs: { '/t': 'size=1m' }, Mounts: [{ Type: 'tmpfs', Target: '/m' }],
        CapAdd: ['NET_ADMIN'], CapDrop: ['kill'], Memory: 67108864, NanoCpus: 5e8, PidsLimit: 100, Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }],
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 }, ExtraHosts: ['z:1.2.3.4'], Dns: ['1.1.1.1'], SecurityOpt: ['no-new-privileges'],
        Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/x', CgroupPermissions: 'r' }], ReadonlyRootfs: true, GroupAdd: ['7'], ShmSize: 1048576,
        LogConfig: { Type: 'json-file', Config: { 'max-size': '1m' } }, Sysctls: { 'kernel.shmmax': '1' }, Init: false, OomScoreAdj: 5,
      },
    }); // biome-ignore format: a request
    expect(comparable(own.HostConfig)).toEqual(comparable(theirs.HostConfig));
    expect(own.Config).toEqual(theirs.Config);
    const mounts = (value: ContainerInspect) =>
      value.Mounts.map((mount) => ({ ...mount, Name: mount.Name === undefined ? undefined : '', Source: '' })).sort(
        (a, b) => a.Destination.localeCompare(b.Destination),
      );
    expect(mounts(own)).toEqual(mounts(theirs));
  });

  it('refuses in the same words', async () => {
    const refused = (body: object, name?: string) =>
      both((client) =>
        client.containers.create({ Image: 'busybox', Cmd: ['x'], ...body }, { name }).then(
          () => 'accepted',
          (error: Error) => error.message,
        ),
      );
    for (const body of [
      { HostConfig: { Memory: 1 } },
      { HostConfig: { NanoCpus: 1e12 } },
      { HostConfig: { Memory: 2 ** 26, MemorySwap: 2 ** 25 } },
      { HostConfig: { CapAdd: ['FOO'] } },
      { HostConfig: { Binds: ['/x:relative'] } },
      { HostConfig: { Mounts: [{ Type: 'bind', Source: '/nosuch-dir', Target: '/x' }] } },
      { WorkingDir: 'rel' },
      { Image: 'nosuch' },
    ]) {
      const [theirs, own] = await refused(body);
      expect([body, own]).toEqual([body, theirs]);
    }
    const [theirs, own] = await refused({}, 'a/b');
    expect(own).toBe(theirs);
  });

  it('answers missing objects in the same words', async () => {
    for (const ask of [
      (client: EngineClient) => client.containers.inspect('nosuch'),
      (client: EngineClient) => client.containers.start('nosuch'),
      (client: EngineClient) => client.volumes.inspect('nosuch'),
      (client: EngineClient) => client.volumes.remove('nosuch'),
      (client: EngineClient) => client.networks.inspect('nosuch'),
      (client: EngineClient) => client.exec.inspect('nosuch'),
      (client: EngineClient) => client.images.remove('nosuch'),
      (client: EngineClient) => client.transport.json('GET', '/nosuch'),
      (client: EngineClient) => client.transport.json('GET', '/services'),
    ]) {
      const [theirs, own] = await both((client) =>
        ask(client).then(
          () => 'found',
          (error: { kind: string; message: string }) => [error.kind, error.message],
        ),
      );
      expect(own).toEqual(theirs);
    }
  });

  it('lists with the same keys', async () => {
    const [theirs, own] = await both(async (client) =>
      (await client.containers.list({ all: true })).find(({ Names }) => Names.includes('/plain')),
    );
    expect(Object.keys(own ?? {})).toEqual(Object.keys(theirs ?? {}));
    const [theirImage, ownImage] = await both(async (client) => (await client.images.list())[0]);
    expect(Object.keys(ownImage ?? {})).toEqual(Object.keys(theirImage ?? {}));
    const [theirInspect, ownInspect] = await both((client) => client.images.inspect('busybox'));
    expect(Object.keys(ownInspect)).toEqual(Object.keys(theirInspect));
    expect(Object.keys(ownInspect.Config ?? {})).toEqual(Object.keys(theirInspect.Config ?? {}));
  });

  it('runs with the same result', async () => {
    const script =
      'grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status; cat /proc/self/limits; ls -l /proc/self/fd 2>/dev/null | wc -l; env | sort; pwd; id; ls -A /; ls /dev; cat /etc/hostname';
    const [theirs, own] = await both(async (client) => {
      const { Id } = await client.containers.create({
        Image: 'busybox',
        Hostname: 'same',
        Cmd: ['sh', '-c', script],
        HostConfig: { NetworkMode: 'none' },
      });
      const { result } = await client.containers.wait(Id, 'next-exit');
      await client.containers.start(Id);
      expect((await result).StatusCode).toBe(0);
      const chunks: Buffer[] = [];
      for await (const chunk of await client.containers.logs(Id, { stdout: true, stderr: true }))
        chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString('latin1');
    });
    expect(own).toBe(theirs);
  });
});
