/** `GET /images/{name}/json` and `/history`. Key order is the wire's. */
import { apiAtLeast, type ContainerConfig, type ImageHistoryItem, type ImageInspect } from '@boxship/engine-api';
import { chainIds, type ImageRunConfig } from '@boxship/oci';
import { zeroTime } from '../clock.ts';
import { graphDriverName } from '../containers/inspect.ts';
import { committedSize } from '../containers/sizes.ts';
import type { Parts } from '../parts.ts';
import type { NamedImage } from './image-index.ts';
import { createdMs, imageSize, repoDigests, repoTags } from './list.ts';

export async function inspectImage(parts: Parts, entry: NamedImage, apiVersion: string): Promise<ImageInspect> {
  const { image } = entry;
  const { config } = image;
  const size = await imageSize(parts, image);
  return {
    Id: image.id,
    RepoTags: repoTags(entry),
    RepoDigests: repoDigests(entry),
    Parent: '',
    Comment: config.history?.at(-1)?.comment ?? '',
    Created: config.created ?? zeroTime,
    ...(apiAtLeast(apiVersion, '1.45') ? {} : { Container: '', ContainerConfig: fullConfig({}) }),
    DockerVersion: config.docker_version ?? '',
    Author: config.author ?? '',
    Config: apiAtLeast(apiVersion, '1.50') ? ociConfig(config.config ?? {}) : fullConfig(config.config ?? {}),
    Architecture: config.architecture,
    ...(config.variant === undefined || config.variant === '' ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: size,
    ...(apiAtLeast(apiVersion, '1.44') ? {} : { VirtualSize: size }),
    GraphDriver: { Data: null, Name: graphDriverName(parts.config.snapshotter) },
    RootFS: { Type: 'layers', Layers: [...config.rootfs.diff_ids] },
    Metadata: { LastTagTime: entry.taggedAt?.toISOString() ?? zeroTime },
  };
}

/** All fields of a container's configuration, as clients before 1.50 expect. */
function fullConfig(config: ImageRunConfig): ContainerConfig {
  const list = (value: readonly string[] | undefined) => (value === undefined ? null : [...value]);
  return {
    Hostname: '',
    Domainname: '',
    User: config.User ?? '',
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(config.ExposedPorts === undefined ? {} : { ExposedPorts: config.ExposedPorts }),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: list(config.Env),
    Cmd: list(config.Cmd),
    ...(config.Healthcheck === undefined
      ? {}
      : { Healthcheck: config.Healthcheck as NonNullable<ContainerConfig['Healthcheck']> }),
    Image: '',
    Volumes: config.Volumes ?? null,
    WorkingDir: config.WorkingDir ?? '',
    Entrypoint: list(config.Entrypoint),
    OnBuild: list(config.OnBuild),
    Labels: (config.Labels ?? null) as Record<string, string>,
    ...(config.StopSignal === undefined ? {} : { StopSignal: config.StopSignal }),
    ...(config.Shell === undefined ? {} : { Shell: [...config.Shell] }),
  };
}

function ociConfig(config: ImageRunConfig): Partial<ContainerConfig> {
  const {
    Hostname: _h,
    Domainname: _d,
    AttachStdin: _i,
    AttachStdout: _o,
    AttachStderr: _e,
    ...full
  } = fullConfig(config);
  const { Tty: _t, OpenStdin: _s, StdinOnce: _n, Image: _m, ...kept } = full;
  return Object.fromEntries(
    Object.entries(kept).filter(
      ([key, value]) => ['Cmd', 'Entrypoint', 'Env'].includes(key) || (value !== null && value !== ''),
    ),
  );
}

export async function imageHistory(parts: Parts, entry: NamedImage): Promise<ImageHistoryItem[]> {
  const { image } = entry;
  const chains = chainIds(image.config.rootfs.diff_ids);
  const sizes = await Promise.all(
    chains.map(
      (chain, index) => layerSize(parts, chain, chains[index - 1]).catch(() => image.manifest.layers[index]?.size ?? 0), // not unpacked
    ),
  );
  let layer = 0;
  const items = (image.config.history ?? []).map((step) => {
    const size = step.empty_layer === true ? 0 : (sizes[layer++] ?? 0);
    return {
      Comment: step.comment ?? '',
      Created: Math.floor(createdMs(step.created) / 1000),
      CreatedBy: step.created_by ?? '',
      Id: '<missing>',
      Size: size,
      Tags: null as string[] | null,
    };
  });
  items.reverse();
  const [newest] = items;
  if (newest !== undefined) {
    newest.Id = image.id;
    const tags = repoTags(entry);
    newest.Tags = tags.length === 0 ? null : tags;
  }
  return items;
}

async function layerSize(parts: Parts, chain: string, below: string | undefined): Promise<number> {
  const { snapshotter } = parts.config;
  const whole = await committedSize(parts, snapshotter, chain);
  return below === undefined ? whole : whole - (await committedSize(parts, snapshotter, below));
}
