/** Checkpoints as content. Under CRIU they are tested where it works: packages/engine/test/virtual-machine.test.ts. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Any, encodeJsonAny, typeUrls } from '@boxship/api';
import { MemoryContentStore, readBlob } from '@boxship/image-store';
import { digestOf } from '@boxship/oci';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { storeCheckpoint, unpackCheckpoint } from '../src/runtime/checkpoint.ts';
import { openContainerd } from './harness.ts';
import { newContainer } from './new-container.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'checkpoint-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const never = new AbortController().signal;
const spec = encodeJsonAny(typeUrls.spec, { ociVersion: '1.1.0' });

it('an image goes into the content store under the media types of containerd, and comes back', async () => {
  const content = new MemoryContentStore();
  const [from, to] = [join(directory, 'from'), join(directory, 'to')];
  mkdirSync(from);
  writeFileSync(join(from, 'pages-1.img'), Buffer.alloc(200_000, 'p'));
  writeFileSync(join(from, 'boxship.json'), '{}');
  const [image, config] = await storeCheckpoint(content, from, spec, {});
  expect(image?.mediaType).toBe('application/vnd.containerd.container.criu.checkpoint.criu.tar');
  expect(config?.mediaType).toBe('application/vnd.containerd.container.checkpoint.config.v1+proto');
  if (image === undefined || config === undefined) throw new Error('two descriptors are wanted');
  // clients read the specification as a message
  expect(Any.decode(await readBlob(content, config, 10_000)).typeUrl).toBe(typeUrls.spec);
  await unpackCheckpoint(content, image, to, never);
  expect(readdirSync(to).toSorted()).toEqual(['boxship.json', 'pages-1.img']);
  expect(readFileSync(join(to, 'pages-1.img'))).toEqual(readFileSync(join(from, 'pages-1.img')));
  await expect(unpackCheckpoint(content, config, join(directory, 'no'), never)).rejects.toThrow(
    'unsupported checkpoint type "application/vnd.containerd.container.checkpoint.config.v1+proto"',
  );
});

it('a task whose checkpoint cannot be had is not created, and leaves nothing', async () => {
  await using subject = await openContainerd();
  const client = subject.containerd.client('one');
  await client.containers.create({ container: newContainer({ id: 'c1', spec }) });
  const create = (mediaType: string) =>
    client.tasks.create({
      containerId: 'c1',
      checkpoint: { mediaType, digest: digestOf(Buffer.from('absent')), size: 6n, annotations: {} },
    });
  await expect(create('application/vnd.containerd.container.criu.checkpoint.criu.tar')).rejects.toMatchObject({
    kind: 'notFound',
  });
  await expect(create('text/plain')).rejects.toThrow('unsupported checkpoint type "text/plain"');
  await expect(client.tasks.checkpoint({ containerId: 'c1' })).rejects.toThrow('task c1 not found');
  await expect(client.tasks.checkpoint({ containerId: 'c2' })).rejects.toMatchObject({ kind: 'notFound' });
  expect((await client.tasks.list({})).tasks).toEqual([]);
  for (const part of ['state', 'root'])
    expect(existsSync(join(subject.directory, part, 'io.containerd.runtime.v2.task/one/c1'))).toBe(false);
});
