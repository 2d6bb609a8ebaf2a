/**
 * Pull. containerd does it where it can (Transfer); with a containerd that has no Transfer the same code runs here, over
 * containerd's content, snapshots and diff services.
 */
import { BoxshipError, messageOf } from '@boxship/base';
import { remoteStores, transferPull } from '@boxship/containerd-client';
import { configureHosts, type PullEvent, pull, Registry, type RegistryCredentials } from '@boxship/image-store';
import {
  familiarString,
  formatReference,
  type Platform,
  parseDigest,
  parseNormalizedNamed,
  parsePlatform,
  type Reference,
  tagNameOnly,
  withDigest,
  withTag,
} from '@boxship/oci';
import type { Exchange } from '../http/exchange.ts';
import { type AnswerStream, startStream } from '../http/json-stream.ts';
import type { Parts } from '../parts.ts';
import { PullProgress } from './pull-progress.ts';
import { credentialsOf } from './registry-auth.ts';

export async function pullImage(parts: Parts, exchange: Exchange): Promise<void> {
  const reference = referenceOf(exchange.text('fromImage'), exchange.text('tag'));
  const platformText = exchange.text('platform');
  const platform = platformText === '' ? undefined : parsePlatform(platformText);
  const credentials = credentialsOf(exchange.request.headers['x-registry-auth']);
  const name = formatReference(reference);
  const before = await targetOf(parts, name);
  const progress = new PullProgress();
  // what fails before the first line is an HTTP error, everything later a line of the stream
  let stream: AnswerStream | undefined;
  const lines: Promise<void>[] = [];
  const say = (message: object): void => {
    stream ??= startStream(exchange, 'application/json');
    lines.push(stream.json(message));
  };
  const onProgress = (event: PullEvent): void => {
    if (event.kind === 'resolved')
      say({ status: `Pulling from ${familiarPath(reference)}`, id: reference.tag ?? reference.digest ?? '' });
    const message = progress.message(event);
    if (message !== undefined) say(message);
  };
  try {
    await pullInto(parts, { reference, platform, credentials, signal: exchange.signal, onProgress });
  } catch (error) {
    if (stream === undefined) throw describe(error, reference);
    const text = messageOf(describe(error, reference));
    say({ errorDetail: { message: text }, error: text });
    await Promise.all(lines);
    (stream as AnswerStream).end();
    return;
  }
  const after = await targetOf(parts, name);
  const shown = familiarString(reference);
  say({ status: `Digest: ${after ?? ''}` });
  say({
    status:
      before === after ? `Status: Image is up to date for ${shown}` : `Status: Downloaded newer image for ${shown}`,
  });
  parts.events.publish('image', 'pull', shown, { name: familiarPath(reference) });
  await Promise.all(lines);
  (stream as AnswerStream | undefined)?.end();
}

interface PullRequest {
  readonly reference: Reference;
  readonly platform: Platform | undefined;
  readonly credentials: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (event: PullEvent) => void;
}

async function pullInto(parts: Parts, request: PullRequest): Promise<void> {
  const { reference, platform, credentials, signal, onProgress } = request;
  const { snapshotter, insecureRegistries, registryMirrors } = parts.config;
  const name = formatReference(reference);
  const auth = credentials === undefined ? {} : { credentials: async () => credentials };
  const wanted = platform === undefined ? {} : { platform };
  try {
    await transferPull(parts.containerd, {
      reference: name,
      name,
      snapshotter,
      signal,
      onProgress,
      ...auth,
      ...wanted,
    });
    return;
  } catch (error) {
    if (!BoxshipError.is(error, 'unimplemented')) throw error;
  }
  const { content, images, leases, snapshotter: snapshots, applier } = remoteStores(parts.containerd, snapshotter);
  await using registry = new Registry({
    hosts: configureHosts({ insecureRegistries, mirrors: registryMirrors }),
    log: parts.log,
    ...auth,
  });
  const unpack = { snapshotter: snapshots, snapshotterName: snapshotter, applier };
  await pull({ reference, registry, content, images, leases, unpack, signal, onProgress, log: parts.log, ...wanted });
}

/** `tag` may be a tag or a digest. @throws invalidArgument */
function referenceOf(fromImage: string, tag: string): Reference {
  const parsed = parseNormalizedNamed(fromImage.replace(/:$/, ''));
  if (tag === '') return tagNameOnly(parsed);
  return tag.includes(':') ? withDigest(parsed, parseDigest(tag)) : withTag(parsed, tag);
}

/** `library/busybox`: the repository without its registry, as Docker's lines name it. */
const familiarPath = (reference: Reference): string => reference.path;

async function targetOf(parts: Parts, name: string): Promise<string | undefined> {
  try {
    return (await parts.containerd.images.get({ name })).image?.target?.digest;
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
}

function describe(error: unknown, reference: Reference): unknown {
  if (!BoxshipError.is(error, 'notFound')) return error;
  return new BoxshipError(
    'notFound',
    `manifest for ${familiarString(reference)} not found: manifest unknown: manifest unknown`,
    { cause: error },
  );
}
