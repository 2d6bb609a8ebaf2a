/** What the services promise beyond the stores: namespaces, field masks, leases and collection, events, restart. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { content as contentWire, encodeJsonAny, type images as imageWire, typeUrls } from '@boxship/api';
import { poll } from '@boxship/base';
import { digestHex, parseDigest } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalContainerd } from '../src/containerd.ts';
import { openContainerd, type TestContainerd } from './harness.ts';
import { newContainer } from './new-container.ts';
import { putBlob } from './put-blob.ts';

let subject: TestContainerd;
let client: LocalContainerd;
beforeEach(async () => {
  subject = await openContainerd();
  client = subject.containerd.client('one');
});
afterEach(() => subject[Symbol.asyncDispose]());

const kind = (value: string) => expect.objectContaining({ kind: value });
const { STAT, COMMIT } = contentWire.WriteAction;

const put = (to: LocalContainerd, text: string, options?: Parameters<typeof putBlob>[2]): Promise<string> =>
  putBlob(to, Buffer.from(text), options);

const container = (id: string) => ({ container: newContainer({ id, labels: { 'a.b/c': '1' }, image: 'i' }) });

describe('namespaces', () => {
  it('need not exist to be read, and exist with their first object', async () => {
    expect((await client.namespaces.get({ name: 'none' })).namespace).toEqual({ name: 'none', labels: {} });
    expect((await client.namespaces.list()).namespaces).toEqual([]);
    await client.containers.create(container('c1'));
    expect((await client.namespaces.list()).namespaces.map(({ name }) => name)).toEqual(['one']);
    await expect(client.namespaces.delete({ name: 'one' })).rejects.toThrow(
      'namespace "one" must be empty, but it still has containers',
    );
  });

  it('isolate names, and share bytes without sending them twice', async () => {
    const digest = await put(client, 'shared', { labels: { 'containerd.io/gc.root': '1' } });
    const other = subject.containerd.client('two');
    await expect(other.content.info({ digest })).rejects.toThrow(kind('notFound'));
    const stream = other.content.write();
    await stream.send({ action: STAT, ref: 'r', total: 6n, expected: digest });
    const answers = stream[Symbol.asyncIterator]();
    expect((await answers.next()).value).toMatchObject({ offset: 6n });
    await stream.send({ action: COMMIT, total: 6n, expected: digest });
    await answers.next();
    expect((await other.content.info({ digest })).info).toMatchObject({ digest, size: 6n });
  });

  it('keep shared bytes that a writer of another namespace stands on', async () => {
    const digest = await put(client, 'shared', { labels: { 'containerd.io/gc.root': '1' } });
    const other = subject.containerd.client('two');
    const stream = other.content.write();
    const answers = stream[Symbol.asyncIterator]();
    await stream.send({ action: STAT, ref: 'r', total: 6n, expected: digest });
    expect((await answers.next()).value).toMatchObject({ offset: 6n });
    await client.content.delete({ digest });
    await client.leases.create({ id: 'tick', labels: {} });
    await client.leases.delete({ id: 'tick', sync: true });
    await stream.send({ action: COMMIT, total: 6n, expected: digest });
    await answers.next();
    const pieces = await Array.fromAsync(other.content.read({ digest }));
    expect(Buffer.concat(pieces.map(({ data }) => data)).toString()).toBe('shared');
  });

  it('take shared bytes that are sent all the same, and no others', async () => {
    const digest = await put(client, 'shared', { labels: { 'containerd.io/gc.root': '1' } });
    const other = subject.containerd.client('two');
    const send = async (text: string) => {
      const stream = other.content.write();
      const answers = stream[Symbol.asyncIterator]();
      await stream.send({ action: STAT, ref: `r-${text}`, total: 6n, expected: digest });
      await answers.next();
      await stream.send({ action: COMMIT, data: Buffer.from(text), total: 6n, expected: digest });
      await answers.next();
    };
    await expect(send('SHARED')).rejects.toThrow(kind('failedPrecondition'));
    await expect(other.content.info({ digest })).rejects.toThrow(kind('notFound'));
    await send('shared');
    expect((await other.content.info({ digest })).info).toMatchObject({ digest, size: 6n });
  });

  it('replace shared bytes that have changed on the disk, for all of them', async () => {
    const labels = { 'containerd.io/gc.root': '1' };
    const other = subject.containerd.client('two');
    const read = async (from: LocalContainerd, digest: string) =>
      Buffer.concat((await Array.fromAsync(from.content.read({ digest }))).map(({ data }) => data)).toString();
    for (const damage of ['SHARED', 'sha']) {
      const digest = await put(client, 'shared', { labels });
      const file = join(
        subject.directory,
        'root/io.containerd.content.v1.content/blobs/sha256',
        digestHex(parseDigest(digest)),
      );
      rmSync(file);
      writeFileSync(file, damage);
      const stream = other.content.write();
      const answers = stream[Symbol.asyncIterator]();
      await stream.send({ action: STAT, ref: 'r', total: 6n, expected: digest });
      expect((await answers.next()).value).toMatchObject({ offset: 0n });
      // until the right bytes are complete nothing is taken away from the namespace that has the blob listed
      expect(await read(client, digest)).toBe(damage);
      await stream.send({ action: COMMIT, data: Buffer.from('shared'), total: 6n, expected: digest, labels });
      await answers.next();
      await client.leases.create({ id: 'tick', labels: {} });
      await client.leases.delete({ id: 'tick', sync: true });
      expect([await read(client, digest), await read(other, digest)]).toEqual(['shared', 'shared']);
      await other.content.delete({ digest });
      await client.content.delete({ digest });
    }
  });

  it('are refused when missing or malformed', async () => {
    const nameless = subject.containerd.client('');
    await expect(nameless.containers.list()).rejects.toThrow('namespace is required');
    await expect(subject.containerd.client('a b').containers.list()).rejects.toThrow(
      'namespace validation: identifier "a b" must match',
    );
  });
});

describe('containers', () => {
  it('hand back the specification byte for byte, and obey field masks', async () => {
    const request = container('c1');
    await client.containers.create(request);
    const { container: stored } = await client.containers.get({ id: 'c1' });
    expect(Buffer.from(stored?.spec?.value ?? []).equals(request.container.spec.value)).toBe(true);
    const updated = await client.containers.update({
      container: { ...request.container, labels: { 'x/y.z': '2', 'a.b/c': '' }, image: 'ignored' },
      updateMask: ['labels.x/y.z', 'labels.a.b/c'],
    });
    expect(updated.container).toMatchObject({ labels: { 'x/y.z': '2' }, image: 'i' });
    await expect(client.containers.update({ ...request, updateMask: ['runtime'] })).rejects.toThrow(
      kind('invalidArgument'),
    );
    await expect(client.containers.create(request)).rejects.toThrow(kind('alreadyExists'));
    expect((await client.containers.list({ filters: ['labels."x/y.z"==2'] })).containers).toHaveLength(1);
    expect((await client.containers.list({ filters: ['labels."x/y.z"==3'] })).containers).toHaveLength(0);
  });

  it('survive a restart', async () => {
    await client.containers.create(container('c1'));
    const again = (await subject.reopen()).client('one');
    expect((await again.containers.get({ id: 'c1' })).container?.id).toBe('c1');
  });
});

describe('sandboxes', () => {
  it('are records with labels, filters and fields, and survive a restart', async () => {
    const sandbox = {
      sandboxId: 'pod',
      runtime: { name: 'io.containerd.runc.v2', options: undefined },
      spec: encodeJsonAny(typeUrls.spec, {}),
      labels: { app: 'a' },
      createdAt: undefined,
      updatedAt: undefined,
      extensions: {},
      sandboxer: '',
    };
    await client.sandboxes.create({ sandbox });
    await expect(client.sandboxes.create({ sandbox })).rejects.toThrow(kind('alreadyExists'));
    await client.sandboxes.update({ sandbox: { ...sandbox, labels: { more: 'b' } }, fields: ['labels.more'] });
    await expect(client.sandboxes.update({ sandbox, fields: ['created_at'] })).rejects.toThrow(kind('invalidArgument'));
    await expect(client.namespaces.delete({ name: 'one' })).rejects.toThrow('it still has sandboxes');
    const again = (await subject.reopen()).client('one');
    expect((await again.sandboxes.get({ sandboxId: 'pod' })).sandbox?.labels).toEqual({ app: 'a', more: 'b' });
    expect((await again.sandboxes.list({ filters: ['labels.app==a'] })).list).toHaveLength(1);
    expect((await again.sandboxes.list({ filters: ['id==other'] })).list).toHaveLength(0);
    await again.sandboxes.delete({ sandboxId: 'pod' });
    await expect(again.sandboxes.get({ sandboxId: 'pod' })).rejects.toThrow(kind('notFound'));
  });
});

describe('garbage collection', () => {
  const exists = async (digest: string): Promise<boolean> =>
    client.content.info({ digest }).then(
      () => true,
      () => false,
    );

  const collect = async () => {
    await client.leases.create({ id: 'tick', labels: {} });
    await client.leases.delete({ id: 'tick', sync: true });
  };

  it('keeps what images and leases reach over labels, and frees the rest', async () => {
    const layer = await put(client, 'layer', { labels: { 'containerd.io/gc.root': 'now' } });
    const manifest = await put(client, 'manifest', {
      labels: { 'containerd.io/gc.ref.content.l.0': layer, 'containerd.io/gc.root': 'now' },
    });
    const target = {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: manifest,
      size: 8n,
      annotations: {},
    };
    await client.images.create({
      image: { name: 'img', labels: {}, target, createdAt: undefined, updatedAt: undefined },
    });
    for (const digest of [layer, manifest]) {
      const { info } = await client.content.info({ digest });
      await client.content.update({
        info: { ...(info as contentWire.Info), labels: {} },
        updateMask: ['labels.containerd.io/gc.root'],
      });
    }
    await client.leases.create({ id: 'l1', labels: {} });
    const leased = await put(client, 'leased', { lease: 'l1' });
    const orphan = await put(client, 'orphan');
    await client.leases.create({ id: 'tick', labels: {} });
    await client.leases.delete({ id: 'tick', sync: true });
    expect([await exists(layer), await exists(manifest), await exists(leased), await exists(orphan)]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    await client.images.delete({ name: 'img', sync: true });
    await client.leases.delete({ id: 'l1', sync: true });
    expect([await exists(layer), await exists(manifest), await exists(leased)]).toEqual([false, false, false]);
  });

  it('keeps what belongs to an object as long as that, and images that others name', async () => {
    const root = { 'containerd.io/gc.root': 'now' };
    const digest = await put(client, 'manifest', { labels: root });
    const signature = await put(client, 'signature', { labels: { 'containerd.io/gc.bref.content.subject': digest } });
    const ofImage = await put(client, 'of image', { labels: { ...root, 'containerd.io/gc.bref.image': 'old' } });
    const create = async (name: string, labels: { [key: string]: string }) =>
      await client.images.create({
        image: {
          ...{ name, labels, createdAt: undefined, updatedAt: undefined },
          target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 8n, annotations: {} },
        },
      });
    const past = '2020-01-01T00:00:00Z';
    await create('old', { 'containerd.io/gc.expire': past });
    await create('new', { 'containerd.io/gc.expire': '2999-01-01T00:00:00Z', 'containerd.io/gc.ref.image': 'old' });
    const unlabel = async (blob: string, name: string) => {
      const { info } = await client.content.info({ digest: blob });
      await client.content.update({
        info: { ...(info as contentWire.Info), labels: {} },
        updateMask: [`labels.${name}`],
      });
    };
    for (const blob of [digest, ofImage]) await unlabel(blob, 'containerd.io/gc.root');
    const all = async () => [
      (await client.images.list({})).images.map(({ name }) => name),
      ...(await Promise.all([digest, signature, ofImage].map(exists))),
    ];
    await collect();
    expect(await all()).toEqual([['new', 'old'], true, true, true]);
    const events = client.events.subscribe({ filters: ['topic=="/images/delete"'] })[Symbol.asyncIterator]();
    const deleted = events.next();
    await client.images.update({
      image: { ...((await client.images.get({ name: 'new' })).image as imageWire.Image), labels: {} },
      updateMask: ['labels'],
    });
    await collect();
    expect((await deleted).value).toMatchObject({ topic: '/images/delete' });
    expect(await all()).toEqual([['new'], true, true, false]);
    await client.images.delete({ name: 'new', sync: true });
    expect(await all()).toEqual([[], false, false, false]);
  });

  it('ends an expired lease', async () => {
    const expiresAt = new Date(Date.now() + 2_000).toISOString();
    await client.leases.create({ id: 'short', labels: { 'containerd.io/gc.expire': expiresAt } });
    const digest = await put(client, 'expired', { lease: 'short' });
    expect(
      await poll({ everyMs: 100, timeoutMs: 10_000 }, async () => {
        await collect();
        return (await exists(digest)) ? undefined : 'gone';
      }),
    ).toBe('gone');
    expect((await client.leases.list()).leases).toEqual([]);
  });

  it('frees a blob that two writers brought at once', async () => {
    const digest = await put(client, 'shared', { labels: { 'containerd.io/gc.root': '1' } });
    const other = subject.containerd.client('two');
    const open = async (ref: string) => {
      const stream = other.content.write();
      const answers = stream[Symbol.asyncIterator]();
      await stream.send({ action: STAT, ref, total: 6n, expected: digest });
      await answers.next();
      return async () => {
        await stream.send({ action: COMMIT, total: 6n, expected: digest });
        await answers.next();
      };
    };
    const [first, second] = [await open('a'), await open('b')];
    await first();
    await expect(second()).rejects.toThrow(kind('alreadyExists'));
    await collect();
    await expect(other.content.info({ digest })).rejects.toThrow(kind('notFound'));
  });

  it('follows labels of what one lease holds flat and another in full', async () => {
    const layer = await put(client, 'layer', { labels: { 'containerd.io/gc.root': 'now' } });
    await client.leases.create({ id: 'a', labels: {} });
    await client.leases.create({ id: 'b', labels: { 'containerd.io/gc.flat': '1' } });
    await client.leases.create({ id: 'c', labels: {} });
    const labels = { 'containerd.io/gc.ref.content': layer };
    const manifest = await put(client, 'manifest', { labels, lease: 'b' });
    for (const id of ['a', 'c']) await client.leases.addResource({ id, resource: { id: manifest, type: 'content' } });
    await client.content.update({
      info: { digest: layer, size: 5n, createdAt: undefined, updatedAt: undefined, labels: {} },
      updateMask: ['labels.containerd.io/gc.root'],
    });
    for (const [id, isKept] of [
      ['c', true],
      ['a', false],
    ] as const) {
      await collect();
      expect(await exists(layer)).toBe(true);
      await client.leases.delete({ id, sync: true });
      expect(await exists(layer)).toBe(isKept);
    }
    expect(await exists(manifest)).toBe(true);
  });

  it('refuses work under a lease that does not exist', async () => {
    const stream = client.content.write({ lease: 'none' });
    await stream.send({ action: STAT, ref: 'r', total: 1n, expected: '' });
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toThrow('lease does not exist');
  });
});

describe('events', () => {
  it('reach every subscriber in order, by filter', async () => {
    const stop = new AbortController();
    const seen: string[] = [];
    const subscription = (async () => {
      for await (const { topic } of client.events.subscribe(
        { filters: ['topic~=|^/containers/|'] },
        { signal: stop.signal },
      ))
        seen.push(topic);
    })();
    await client.containers.create(container('c1'));
    await client.leases.create({ id: 'x', labels: {} });
    await client.containers.delete({ id: 'c1' });
    while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await subscription;
    expect(seen).toEqual(['/containers/create', '/containers/delete']);
  });

  it('are refused with a bad topic', async () => {
    await expect(client.events.publish({ topic: 'x', event: undefined })).rejects.toThrow(
      `topic "x" must start with '/'`,
    );
  });
});
