/** What the ways of a transfer share: the stores of the caller, messages by name, progress, credentials. */
import { type Any, type CallContext, decodeAny, encodeAny, typeNameOf, transferTypes as types } from '@boxship/api';
import { BoxshipError, type Logger } from '@boxship/base';
import {
  type Applier,
  type ContentStore,
  type HostLookup,
  type ImageStore,
  type LeaseManager,
  type PullEvent,
  type PushEvent,
  Registry,
  type RegistryCredentials,
  type Snapshotter,
} from '@boxship/image-store';
import type { Platform } from '@boxship/oci';
import { toWireDescriptor } from './convert.ts';
import type { NamedStream, StreamRegistry } from './streaming.ts';

/** What a transfer works on: the stores as one namespace sees them. */
export interface TransferStores {
  readonly content: ContentStore;
  readonly images: ImageStore;
  readonly leases: LeaseManager;
  readonly applier: Applier;
  snapshotter(name: string): Snapshotter;
}

export interface TransferOptions {
  readonly streams: StreamRegistry;
  readonly stores: (namespace: string) => TransferStores;
  readonly hosts: HostLookup;
  readonly defaultSnapshotter: string;
  readonly log: Logger;
}

/** One call. */
export interface Transfer {
  readonly options: TransferOptions;
  readonly stores: TransferStores;
  readonly context: CallContext;
  /** '' = nobody listens. */
  readonly progressStream: string;
}

/** The message in an Any, if it is the one of this name. */
export function message<T>(any: Any | undefined, name: string): T | undefined {
  if (any === undefined || typeNameOf(any.typeUrl) !== `containerd.types.transfer.${name}`) return undefined;
  const decoded = decodeAny(any);
  return decoded.kind === 'message' ? (decoded.value as T) : undefined;
}

/** Runs work that tells its progress to the stream that the client has opened for it. */
export async function withProgress(
  transfer: Transfer,
  work: (tell: (event: PullEvent | PushEvent) => void) => Promise<void>,
): Promise<void> {
  const { options, context, progressStream } = transfer;
  const stream = progressStream === '' ? undefined : await options.streams.get(context.namespace, progressStream);
  try {
    await work((event) => stream?.send(encodeProgress(event)));
  } finally {
    stream?.end();
  }
}

/** A client of the registry with the credentials that the caller offers. */
export async function openRegistry({ options, context }: Transfer, remote: types.OCIRegistry): Promise<Registry> {
  const id = remote.resolver?.authStream ?? '';
  const stream = id === '' ? undefined : await options.streams.get(context.namespace, id);
  return new Registry({
    hosts: options.hosts,
    log: options.log,
    ...(stream === undefined ? {} : { credentials: (host) => ask(stream, host, remote.reference) }),
  });
}

/** undefined when the message leaves it to us. */
export function toPlatform(platform: types.UnpackConfiguration['platform']): Platform | undefined {
  if (platform === undefined || platform.os === '') return undefined;
  const { os, architecture, variant } = platform;
  return variant === '' ? { os, architecture } : { os, architecture, variant };
}

/**
 * Progress as containerd's message: `event` is the state in the words of image-store's events, `name` the reference or the
 * layer (`layer-<digest>`), `progress` and `total` bytes.
 */
function encodeProgress(event: PullEvent | PushEvent): Any {
  const plain = { event: event.kind as string, name: '', parents: [], progress: 0n, total: 0n, desc: undefined };
  const fill = (): types.Progress => {
    switch (event.kind) {
      case 'layer': {
        const { state, digest, current = 0, total = 0 } = event;
        return { ...plain, event: state, name: `layer-${digest}`, progress: BigInt(current), total: BigInt(total) };
      }
      case 'resolving':
        return { ...plain, name: event.reference };
      case 'resolved':
        return { ...plain, name: event.reference, desc: toWireDescriptor(event.target) };
      case 'done':
        return {
          ...plain,
          progress: 'isNewer' in event && event.isNewer ? 1n : 0n,
          desc: toWireDescriptor(event.target),
        };
      default: {
        const name = event.digest === undefined ? '' : `layer-${event.digest}`;
        return { ...plain, name, progress: BigInt(event.seconds) };
      }
    }
  };
  return encodeAny('containerd.types.transfer.Progress', types.Progress, fill());
}

async function ask(stream: NamedStream, host: string, reference: string): Promise<RegistryCredentials | undefined> {
  const request = { host, reference, wwwauthenticate: [] };
  stream.send(encodeAny('containerd.types.transfer.AuthRequest', types.AuthRequest, request));
  const answer = await stream.receive();
  if (answer === undefined) return undefined;
  const decoded = message<types.AuthResponse>(answer, 'AuthResponse');
  if (decoded === undefined)
    throw new BoxshipError('invalidArgument', 'credentials must be answered with an AuthResponse');
  const { secret, username } = decoded;
  switch (decoded.authType) {
    case types.AuthType.CREDENTIALS:
      return { username, password: secret };
    case types.AuthType.REFRESH:
      return { identityToken: secret };
    case types.AuthType.HEADER:
      return { registryToken: secret.replace(/^Bearer /, '') };
    default:
      return undefined;
  }
}
