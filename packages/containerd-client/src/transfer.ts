/** Pull by the server's Transfer service, with the progress and credentials that a local pull has. */

import type { ContainerdServices } from '@boxship/api';
import { type Any, Any as AnyMessage, decodeAny, encodeAny, streaming, transferTypes as types } from '@boxship/api';
import type { LayerState, PullEvent, RegistryCredentials } from '@boxship/image-store';
import { parseDigest } from '@boxship/oci';
import { fromWireDescriptor } from './convert.ts';

export interface TransferPullOptions {
  /** Full reference: `docker.io/library/busybox:latest`. */
  readonly reference: string;
  /** Name of the image record. */
  readonly name: string;
  /** Unpack for this snapshotter. */
  readonly snapshotter: string;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
  readonly credentials?: (host: string) => Promise<RegistryCredentials | undefined>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: PullEvent) => void;
}

/** @throws unimplemented when the server has no Transfer service (containerd below 1.7), and what a pull throws */
export async function transferPull(services: ContainerdServices, options: TransferPullOptions): Promise<void> {
  const id = crypto.randomUUID();
  const ended = new AbortController();
  const progressStream = options.onProgress === undefined ? '' : `progress-${id}`;
  const authStream = options.credentials === undefined ? '' : `auth-${id}`;
  const read = (id: string, onMessage: OnMessage) =>
    id === '' ? undefined : readStream(services, id, ended.signal, onMessage);
  const progress = read(progressStream, (any) => tell(any, options));
  const auth = read(authStream, (any, send) => answer(any, options, send));
  try {
    await Promise.all([progress?.opened, auth?.opened]);
    const { os = '', architecture = '', variant = '' } = options.platform ?? {};
    const platform = { os, architecture, variant, osVersion: '', osFeatures: [] };
    const source = types.OCIRegistry.fromPartial({ reference: options.reference, resolver: { authStream } });
    const destination = types.ImageStore.fromPartial({
      name: options.name,
      unpacks: [{ ...(os === '' ? {} : { platform }), snapshotter: options.snapshotter }],
    });
    await services.transfer.transfer(
      {
        source: encodeAny('containerd.types.transfer.OCIRegistry', types.OCIRegistry, source),
        destination: encodeAny('containerd.types.transfer.ImageStore', types.ImageStore, destination),
        options: { progressStream },
      },
      { timeoutMs: 0, ...(options.signal === undefined ? {} : { signal: options.signal }) },
    );
    // the server ends the progress stream with the last event: waiting for it keeps the order of what the caller sees
    await progress?.over;
  } finally {
    ended.abort();
    await Promise.all([progress?.over, auth?.over]);
  }
}

type Send = (any: Any) => Promise<void>;
type OnMessage = (any: Any, send: Send) => Promise<void> | void;

interface StreamReading {
  readonly opened: Promise<void>;
  /** Settles when nothing is read any more; never fails, as an aborted stream is the normal end of the credentials' one. */
  readonly over: Promise<void>;
}

function readStream(
  services: ContainerdServices,
  id: string,
  signal: AbortSignal,
  onMessage: OnMessage,
): StreamReading {
  const stream = services.streaming.stream({ timeoutMs: 0, signal });
  const messages = stream[Symbol.asyncIterator]();
  const open = async (): Promise<void> => {
    await stream.send(encodeAny('containerd.services.streaming.v1.StreamInit', streaming.StreamInit, { id }));
    await messages.next(); // the acknowledgement
  };
  const opened = open();
  const read = async (): Promise<void> => {
    await opened;
    for (let next = await messages.next(); next.done !== true; next = await messages.next())
      await onMessage(AnyMessage.fromPartial(next.value), (any) => stream.send(any));
  };
  return { opened, over: read().catch(() => {}) };
}

function tell(any: Any, options: TransferPullOptions): void {
  const decoded = decodeAny(any);
  if (decoded.kind !== 'message' || decoded.name !== 'containerd.types.transfer.Progress') return;
  const event = toPullEvent(decoded.value as types.Progress);
  if (event !== undefined) options.onProgress?.(event);
}

/** Our server speaks in the states of PullEvent; those of another containerd that have no counterpart are left out. */
function toPullEvent(progress: types.Progress): PullEvent | undefined {
  const { event, name } = progress;
  const digest = /^layer-(sha\d+:[0-9a-f]+)$/.exec(name)?.[1];
  switch (event) {
    case 'resolving':
      return { kind: 'resolving', reference: name };
    case 'resolved':
      return { kind: 'resolved', reference: name, target: fromWireDescriptor(progress.desc) };
    case 'retrying':
      return {
        kind: 'retrying',
        seconds: Number(progress.progress),
        ...(digest === undefined ? {} : { digest: parseDigest(digest) }),
      };
    case 'done':
      return { kind: 'done', target: fromWireDescriptor(progress.desc), isNewer: progress.progress === 1n };
  }
  if (digest === undefined || !layerStates.has(event)) return undefined;
  const bytes = progress.total > 0n ? { current: Number(progress.progress), total: Number(progress.total) } : {};
  return { kind: 'layer', digest: parseDigest(digest), state: event as LayerState, ...bytes };
}

const layerStates: ReadonlySet<string> = new Set<LayerState>([
  'pulling',
  'waiting',
  'downloading',
  'verifying',
  'downloaded',
  'extracting',
  'complete',
  'exists',
]);

async function answer(any: Any, options: TransferPullOptions, send: Send): Promise<void> {
  const decoded = decodeAny(any);
  if (decoded.kind !== 'message' || decoded.name !== 'containerd.types.transfer.AuthRequest') return;
  const { host } = decoded.value as types.AuthRequest;
  const credentials = await options.credentials?.(host);
  const { NONE, CREDENTIALS, REFRESH, HEADER } = types.AuthType;
  const response =
    credentials?.registryToken !== undefined
      ? { authType: HEADER, secret: credentials.registryToken }
      : credentials?.identityToken !== undefined
        ? { authType: REFRESH, secret: credentials.identityToken }
        : credentials?.username !== undefined
          ? { authType: CREDENTIALS, username: credentials.username, secret: credentials.password ?? '' }
          : { authType: NONE };
  const message = types.AuthResponse.fromPartial(response);
  await send(encodeAny('containerd.types.transfer.AuthResponse', types.AuthResponse, message));
}
