/**
 * `docker commit`: what a container has written becomes a layer over its image. Content is made under a lease: a commit that
 * is cut off leaves nothing but garbage.
 */
import { BoxshipError, randomId } from '@boxship/base';
import { remoteStores } from '@boxship/containerd-client';
import type { ContainerConfig, ContainerConfigRequest } from '@boxship/engine-api';
import { labelKeys, unpackTarget, writeBlob } from '@boxship/image-store';
import {
  formatReference,
  type ImageConfig,
  type ImageRunConfig,
  mediaTypes,
  parseDigest,
  parseNormalizedNamed,
  tagNameOnly,
  withTag,
} from '@boxship/oci';
import { nowRfc3339 } from '../clock.ts';
import { mergeEnv } from '../containers/merge-config.ts';
import { type Container, eventAttributes } from '../containers/model.ts';
import { initLayerName } from '../containers/rootfs.ts';
import type { Parts } from '../parts.ts';
import { applyChanges } from './change.ts';
import { untaggedName } from './dangling.ts';
import { writeName } from './tag.ts';

export interface CommitOptions {
  readonly repo: string;
  readonly tag: string;
  readonly comment: string;
  readonly author: string;
  readonly isPaused: boolean;
  /** Dockerfile instructions. */
  readonly changes: readonly string[];
  readonly config: ContainerConfigRequest;
}

const leaseMs = 3_600_000;

/** @returns the new image's id @throws notFound when the container's image is gone */
export async function commitContainer(parts: Parts, container: Container, options: CommitOptions): Promise<string> {
  const reference = options.repo === '' ? undefined : parseNormalizedNamed(options.repo);
  const name =
    reference === undefined
      ? undefined
      : formatReference(tagNameOnly(options.tag === '' ? reference : withTag(reference, options.tag)));
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  const image = await parts.images.resolve(record.imageId);
  const runConfig = applyChanges(committedConfig(record.config, options.config), options.changes);
  const { snapshotter } = parts.config;
  const stores = remoteStores(parts.containerd, snapshotter);
  const lease = await stores.leases.create({ expiresAt: new Date(Date.now() + leaseMs) });
  const mustPause = options.isPaused && record.state.Running && !record.state.Paused;
  const containerId = container.id;
  if (mustPause) {
    await parts.containerd.tasks.pause({ containerId });
    parts.events.publish('container', 'pause', containerId, eventAttributes(record));
  }
  try {
    const view = `commit-${randomId()}`;
    const lower = await stores.snapshotter.view(view, initLayerName(image), { lease: lease.id });
    const layer = await stores.comparer
      .compare(lower, record.rootMounts, { mediaType: mediaTypes.ociLayerGzip, ref: view, lease: lease.id })
      .finally(() => stores.snapshotter.remove(view));
    const diffId = (await stores.content.info(layer.digest)).labels[labelKeys.uncompressed];
    if (diffId === undefined) throw new BoxshipError('internal', `layer ${layer.digest} has no diff id`);
    const created = nowRfc3339();
    const command = [record.path, ...record.args].join(' ');
    const config: ImageConfig = {
      ...image.config,
      created,
      ...(options.author === '' ? {} : { author: options.author }),
      config: runConfig,
      rootfs: { type: 'layers', diff_ids: [...image.config.rootfs.diff_ids, parseDigest(diffId)] },
      history: [
        ...(image.config.history ?? []),
        { created, created_by: command, ...(options.comment === '' ? {} : { comment: options.comment }) },
      ],
    };
    const { content } = stores;
    const configBlob = await writeBlob(content, Buffer.from(JSON.stringify(config)), {
      ref: `${view}-config`,
      mediaType: mediaTypes.ociConfig,
      lease: lease.id,
    });
    const layers = [...image.manifest.layers, { ...layer, mediaType: mediaTypes.ociLayerGzip }];
    const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: configBlob, layers };
    const references = Object.fromEntries(
      layers.map(({ digest }, index) => [`${labelKeys.gcRefContent}.l.${index}`, digest]),
    );
    const target = await writeBlob(content, Buffer.from(JSON.stringify(manifest)), {
      ref: `${view}-manifest`,
      mediaType: mediaTypes.ociManifest,
      labels: { ...references, [`${labelKeys.gcRefContent}.config`]: configBlob.digest },
      lease: lease.id,
    });
    const { applier, snapshotter: store } = stores;
    await unpackTarget({ content, snapshotter: store, snapshotterName: snapshotter, applier, target, lease: lease.id });
    await writeName(parts, name ?? untaggedName(target.digest), target);
    if (name !== undefined) parts.events.publish('image', 'tag', configBlob.digest, { name });
    parts.events.publish('container', 'commit', containerId, {
      ...eventAttributes(record),
      comment: options.comment,
      imageID: configBlob.digest,
      imageRef: name ?? '',
    });
    return configBlob.digest;
  } finally {
    await stores.leases.delete(lease.id);
    if (mustPause) {
      await parts.containerd.tasks.resume({ containerId });
      parts.events.publish('container', 'unpause', containerId, eventAttributes(record));
    }
  }
}

/** What of a container's configuration an image keeps; the request's own fields go first. */
function committedConfig(config: ContainerConfig, request: ContainerConfigRequest): ImageRunConfig {
  const list = (value: string | string[] | undefined) => (typeof value === 'string' ? [value] : value);
  const user = request.User ?? config.User;
  const workingDir = request.WorkingDir ?? config.WorkingDir;
  const command = list(request.Cmd) ?? config.Cmd;
  const entrypoint = list(request.Entrypoint) ?? config.Entrypoint;
  const env = mergeEnv(config.Env ?? [], request.Env ?? []);
  const volumes = request.Volumes ?? config.Volumes;
  const ports = request.ExposedPorts ?? config.ExposedPorts;
  return {
    ...(user === '' ? {} : { User: user }),
    ...(env.length === 0 ? {} : { Env: env }),
    ...(command === null ? {} : { Cmd: command }),
    ...(entrypoint === null ? {} : { Entrypoint: entrypoint }),
    ...(workingDir === '' ? {} : { WorkingDir: workingDir }),
    ...(volumes === null ? {} : { Volumes: volumes }),
    ...(ports === undefined ? {} : { ExposedPorts: ports }),
    Labels: { ...config.Labels, ...request.Labels },
    ...(config.StopSignal === undefined ? {} : { StopSignal: config.StopSignal }),
    ...(config.Shell === undefined ? {} : { Shell: config.Shell }),
    ...(config.Healthcheck === undefined
      ? {}
      : { Healthcheck: config.Healthcheck as NonNullable<ImageRunConfig['Healthcheck']> }),
  };
}
