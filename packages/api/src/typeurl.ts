/**
 * `google.protobuf.Any` as containerd uses it: events and options carry the bare full message name as type URL; the OCI
 * specification, processes and resources are JSON under `types.containerd.io/…`. Both the bare and the
 * `type.googleapis.com/` spelling are accepted.
 */
import type { MessageFns } from './gen/containerd/events/events.ts';
import * as events from './gen/containerd/events/events.ts';
import * as runc from './gen/containerd/runc/v1/options.ts';
import * as bootstrap from './gen/containerd/runtime/bootstrap/v1/bootstrap.ts';
import * as images from './gen/containerd/services/images/v1/images.ts';
import * as streaming from './gen/containerd/services/streaming/v1/streaming.ts';
import * as runtimeInfo from './gen/containerd/types/runtime_info.ts';
import * as transfer from './gen/containerd/types/transfer/transfer.ts';
import type { Any } from './gen/google/protobuf/any.ts';
import * as cgroups1 from './gen/io/containerd/cgroups/v1/metrics.ts';
import * as cgroups2 from './gen/io/containerd/cgroups/v2/metrics.ts';

const json = 'types.containerd.io/opencontainers/runtime-spec/1/';

/** Type URLs of the JSON payloads. */
export const typeUrls = {
  spec: `${json}Spec`,
  process: `${json}Process`,
  linuxResources: `${json}LinuxResources`,
} as const;

const codecs = new Map<string, MessageFns<unknown>>();
function register(packageName: string, messages: Readonly<Record<string, unknown>>): void {
  for (const [name, codec] of Object.entries(messages)) {
    if (typeof codec === 'object' && codec !== null && 'decode' in codec)
      codecs.set(`${packageName}.${name.replaceAll('_', '.')}`, codec as MessageFns<unknown>);
  }
}
register('containerd.events', events);
register('containerd.services.images.v1', {
  ImageCreate: images.ImageCreate,
  ImageUpdate: images.ImageUpdate,
  ImageDelete: images.ImageDelete,
});
register('containerd.runc.v1', runc);
register('containerd.types', runtimeInfo);
register('containerd.types.transfer', transfer);
register('containerd.services.streaming.v1', streaming);
register('containerd.runtime.bootstrap.v1', bootstrap);
register('io.containerd.cgroups.v1', { Metrics: cgroups1.Metrics });
register('io.containerd.cgroups.v2', { Metrics: cgroups2.Metrics });

export type Decoded =
  | { readonly kind: 'json'; readonly typeUrl: string; readonly value: unknown }
  | { readonly kind: 'message'; readonly name: string; readonly value: unknown }
  | { readonly kind: 'unknown'; readonly typeUrl: string; readonly value: Uint8Array };

/** The message name behind a type URL. */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

export function decodeAny(any: Any): Decoded {
  if (any.typeUrl.startsWith(json))
    return {
      kind: 'json',
      typeUrl: any.typeUrl,
      value: JSON.parse(Buffer.from(any.value).toString('utf8')) as unknown,
    };
  const name = typeNameOf(any.typeUrl);
  const codec = codecs.get(name);
  if (codec === undefined) return { kind: 'unknown', typeUrl: any.typeUrl, value: any.value };
  return { kind: 'message', name, value: codec.decode(any.value) };
}

/** Packs a generated message under its full name: `encodeAny('containerd.events.TaskExit', TaskExit, {…})`. */
export function encodeAny<T>(name: string, codec: Pick<MessageFns<T>, 'encode'>, value: T): Any {
  return { typeUrl: name, value: Buffer.from(codec.encode(value).finish()) };
}

/** Packs a JSON payload under one of {@link typeUrls}. */
export function encodeJsonAny(typeUrl: string, value: unknown): Any {
  return { typeUrl, value: Buffer.from(JSON.stringify(value)) };
}
