/**
 * `containerd.services.transfer.v1.Transfer`: the server side of pull: from a registry into the caller's namespace, unpacked
 * if asked. Progress and credentials travel over streams that the client has opened beforehand.
 */
import {
  type Any,
  type CallContext,
  decodeAny,
  encodeAny,
  type ServiceHandlers,
  typeNameOf,
  transferTypes as types,
  type transfer as wire,
} from '@boxship/api';
import { BoxshipError, type Logger } from '@boxship/base';
import {
  type Applier,
  type ContentStore,
  type HostLookup,
  type ImageStore,
  type LeaseManager,
  type PullEvent,
  pull,
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

export function transferService(options: TransferOptions): ServiceHandlers<typeof wire.TransferService> {
  return {
    async transfer(request, context) {
      const source = message<types.OCIRegistry>(request.source, 'OCIRegistry');
      const destination = message<types.ImageStore>(request.destination, 'ImageStore');
      if (source === undefined || destination === undefined)
        throw new BoxshipError(
          'unimplemented',
          `transfer from ${typeNameOf(request.source?.typeUrl ?? '')} to ${typeNameOf(request.destination?.typeUrl ?? '')} is not supported`,
        );
      await pullImage(options, source, destination, request.options?.progressStream ?? '', context);
      return {};
    },
  };
}

function message<T>(any: Any | undefined, name: string): T | undefined {
  if (any === undefined || typeNameOf(any.typeUrl) !== `containerd.types.transfer.${name}`) return undefined;
  const decoded = decodeAny(any);
  return decoded.kind === 'message' ? (decoded.value as T) : undefined;
}

async function pullImage(
  options: TransferOptions,
  source: types.OCIRegistry,
  destination: types.ImageStore,
  progressStream: string,
  context: CallContext,
): Promise<void> {
  const { namespace } = context;
  const stores = options.stores(namespace);
  const progress = progressStream === '' ? undefined : await options.streams.get(namespace, progressStream);
  const credentials = await credentialLookup(options, source, namespace);
  await using registry = new Registry({
    hosts: options.hosts,
    log: options.log,
    ...(credentials === undefined ? {} : { credentials }),
  });
  const [unpack] = destination.unpacks;
  const name = unpack === undefined || unpack.snapshotter === '' ? options.defaultSnapshotter : unpack.snapshotter;
  const platform = unpack?.platform ?? destination.platforms[0];
  try {
    await pull({
      reference: source.reference,
      registry,
      content: stores.content,
      images: stores.images,
      leases: stores.leases,
      labels: destination.labels,
      ...(destination.name === '' ? {} : { name: destination.name }),
      ...(context.lease === undefined ? {} : { lease: context.lease }),
      ...(platform === undefined || platform.os === '' ? {} : { platform: toPlatform(platform) }),
      isAllPlatforms: destination.allMetadata,
      ...(unpack === undefined
        ? {}
        : { unpack: { snapshotter: stores.snapshotter(name), snapshotterName: name, applier: stores.applier } }),
      signal: context.signal,
      log: options.log,
      onProgress: (event) => progress?.send(encodeProgress(event)),
    });
  } finally {
    progress?.end();
  }
}

function toPlatform(platform: types.UnpackConfiguration['platform'] & object): Platform {
  const { os, architecture, variant } = platform;
  return variant === '' ? { os, architecture } : { os, architecture, variant };
}

/**
 * Progress as containerd's message: `event` is the state in the words of image-store's PullEvent, `name` the reference or the
 * layer (`layer-<digest>`), `progress` and `total` bytes.
 */
function encodeProgress(event: PullEvent): Any {
  const plain = { event: event.kind as string, name: '', parents: [], progress: 0n, total: 0n, desc: undefined };
  const filled: types.Progress =
    event.kind === 'layer'
      ? {
          ...plain,
          event: event.state,
          name: `layer-${event.digest}`,
          progress: BigInt(event.current ?? 0),
          total: BigInt(event.total ?? 0),
        }
      : event.kind === 'resolving'
        ? { ...plain, name: event.reference }
        : event.kind === 'resolved'
          ? { ...plain, name: event.reference, desc: toWireDescriptor(event.target) }
          : event.kind === 'done'
            ? { ...plain, progress: event.isNewer ? 1n : 0n, desc: toWireDescriptor(event.target) }
            : {
                ...plain,
                name: event.digest === undefined ? '' : `layer-${event.digest}`,
                progress: BigInt(event.seconds),
              };
  return encodeAny('containerd.types.transfer.Progress', types.Progress, filled);
}

async function credentialLookup(
  options: TransferOptions,
  source: types.OCIRegistry,
  namespace: string,
): Promise<((host: string) => Promise<RegistryCredentials | undefined>) | undefined> {
  const id = source.resolver?.authStream ?? '';
  if (id === '') return undefined;
  const stream = await options.streams.get(namespace, id);
  return (host) => ask(stream, host, source.reference);
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
