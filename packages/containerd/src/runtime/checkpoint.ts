/**
 * Checkpoints as content: the directory into which a shim has written an image of CRIU is a tar archive in the content store,
 * and the specification of its container lies beside it. Media types are containerd's, whose clients look for them.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { Any, decodeAny, type runcOptions } from '@boxship/api';
import { applyArchive, pack } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import { type ContentStore, writeBlob, writeStream } from '@boxship/image-store';
import type { Descriptor } from '@boxship/oci';

const IMAGE = 'application/vnd.containerd.container.criu.checkpoint.criu.tar';
const CONFIG = 'application/vnd.containerd.container.checkpoint.config.v1+proto';

export interface StoreOptions {
  readonly lease?: string | undefined;
  readonly signal?: AbortSignal;
}

/** Stores what is in `directory`, and the specification; gives the descriptors of both, in this order. */
export async function storeCheckpoint(
  content: ContentStore,
  directory: string,
  spec: Any | undefined,
  options: StoreOptions,
): Promise<Descriptor[]> {
  const { lease, signal } = options;
  const ref = `checkpoint-${randomBytes(8).toString('hex')}`;
  const held = lease === undefined ? {} : { lease };
  const archive = pack({ kind: 'changes', upper: directory }, signal === undefined ? {} : { signal });
  const image = await writeStream(content, archive.chunks, { ref, ...held });
  const bytes = Any.encode(spec ?? Any.decode(new Uint8Array(0))).finish();
  const config = await writeBlob(content, bytes, { ref: `${ref}-config`, mediaType: CONFIG, ...held });
  return [{ mediaType: IMAGE, ...image }, config];
}

/** Unpacks such an archive into a new directory. @throws invalidArgument for another media type, notFound */
export async function unpackCheckpoint(
  content: ContentStore,
  descriptor: Descriptor,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  if (descriptor.mediaType !== IMAGE)
    throw new BoxshipError('invalidArgument', `unsupported checkpoint type ${JSON.stringify(descriptor.mediaType)}`);
  mkdirSync(directory, { mode: 0o700 });
  await applyArchive(content.read(descriptor, { signal }), { kind: 'tree', root: directory }, { signal });
}

/** The directory that the caller wants the image in; empty: none, it is to be content. */
export const imagePathOf = (options: Any | undefined): string =>
  optionsNamed<runcOptions.CheckpointOptions>(options, 'containerd.runc.v1.CheckpointOptions')?.imagePath ?? '';

/** The directory of an image that Create is to restore, from its options; empty: none. */
export const restorePathOf = (options: Any | undefined): string =>
  optionsNamed<runcOptions.Options>(options, 'containerd.runc.v1.Options')?.criuImagePath ?? '';

function optionsNamed<T>(any: Any | undefined, name: string): T | undefined {
  if (any === undefined || any.typeUrl === '') return undefined;
  const decoded = decodeAny(any);
  return decoded.kind === 'message' && decoded.name === name ? (decoded.value as T) : undefined;
}
