/**
 * `POST /containers/create`: checks everything that can be checked, writes the record with phase `creating`, prepares the root
 * file system and volumes, then turns the record `ready`. A record that is still `creating` after a crash is rolled back.
 */
import { BoxshipError, failPoint, randomId } from '@boxship/base';
import { apiAtLeast, type ContainerCreateRequest, type ContainerCreateResponse } from '@boxship/engine-api';
import type { EndpointSpec } from '@boxship/network';
import { nowRfc3339 } from '../clock.ts';
import { endpointSpecs } from '../networks/endpoint-specs.ts';
import { resolveLinks } from '../networks/links.ts';
import type { Parts } from '../parts.ts';
import { checkBindIsForeign } from './engine-paths.ts';
import { jsonLogPath, makeContainerDirectory, removeContainerDirectory, writeIdentityFiles } from './files.ts';
import { completeHostConfig } from './host-config.ts';
import { mergeConfig } from './merge-config.ts';
import { type Container, type ContainerRecord, eventAttributes, initialState } from './model.ts';
import { planMountPoints } from './mount-points.ts';
import { checkContainerName, generateName } from './names.ts';
import { prepareRootfs } from './rootfs.ts';
import { containerOfMode } from './spec/namespaces.ts';
import { materializeVolumes, releaseVolumes } from './volume-mounts.ts';

export interface CreateOptions {
  readonly name: string | undefined;
  readonly apiVersion: string;
}

/** @throws invalidArgument, notFound (image, container, network), conflict (name) */
export async function createContainer(
  parts: Parts,
  request: ContainerCreateRequest,
  options: CreateOptions,
): Promise<ContainerCreateResponse> {
  if (!request.Image) throw new BoxshipError('invalidArgument', 'No image specified');
  const image = await parts.images.resolve(request.Image);
  const id = randomId();
  const config = mergeConfig(request, image.config.config, id);
  const command = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (command.length === 0 || command[0] === '') throw new BoxshipError('invalidArgument', 'no command specified');
  const hostConfig = completeHostConfig(request.HostConfig ?? {}, {
    config: parts.config,
    host: parts.host,
    apiVersion: options.apiVersion,
  });
  const joined = containerOfMode(hostConfig.NetworkMode);
  if (joined !== undefined) {
    // one that is not there (yet) is the start's affair
    config.Hostname = parts.containers.find(joined)?.record.config.Hostname ?? config.Hostname;
    if (
      (hostConfig.Links ?? []).length > 0 ||
      Object.keys(hostConfig.PortBindings).length > 0 ||
      hostConfig.PublishAllPorts
    )
      throw new BoxshipError(
        'invalidArgument',
        'conflicting options: port publishing and the container type network mode',
      );
  } else if ((hostConfig.NetworkMode === 'host' || hostConfig.UTSMode === 'host') && !request.Hostname)
    config.Hostname = parts.host.hostname;
  const links = resolveLinks(parts, hostConfig);
  const endpoints = endpointSpecs(hostConfig, request, options.apiVersion, links);
  const mounts = planMountPoints(config, hostConfig, {
    dataRoot: parts.config.dataRoot,
    recordOf: (name) => parts.containers.get(name).record,
  });
  for (const mount of mounts) if (mount.type === 'bind') checkBindIsForeign(mount.source, parts.config);
  const name =
    options.name === undefined || options.name === ''
      ? generateName((candidate) => isNameTaken(parts, candidate))
      : checkContainerName(options.name);
  const isJsonLog = hostConfig.LogConfig.Type === 'json-file';
  const container = parts.containers.add({
    id,
    name,
    created: nowRfc3339(),
    path: command[0] ?? '',
    args: command.slice(1),
    config,
    hostConfig,
    imageId: image.id,
    mounts,
    endpoints: Object.fromEntries(endpoints.map((endpoint: EndpointSpec) => [endpoint.network, endpoint])),
    links,
    state: initialState(),
    pidStartTicks: 0,
    restartCount: 0,
    isManuallyStopped: false,
    hasBeenStarted: false,
    snapshotter: parts.config.snapshotter,
    rootMounts: [],
    logPath: isJsonLog ? jsonLogPath(parts.config, id) : '',
    phase: 'creating',
    isStarting: false,
    sandbox: undefined,
  } satisfies ContainerRecord);
  try {
    await failPoint('create.recorded');
    makeContainerDirectory(parts.config, id);
    container.record.rootMounts = await prepareRootfs(parts, id, image);
    await failPoint('create.snapshot');
    writeIdentityFiles(parts.config, container.record);
    container.record.mounts = await materializeVolumes(parts, container);
    container.record.phase = 'ready';
    parts.containers.save(container);
  } catch (error) {
    await rollBackCreate(parts, container);
    throw error;
  }
  parts.events.publish('container', 'create', id, eventAttributes(container.record));
  return { Id: id, Warnings: warningsOf(parts, container, options) };
}

/** Takes back whatever a create has done; every step succeeds when there is nothing to do. */
export async function rollBackCreate(parts: Parts, container: Container): Promise<void> {
  const { id } = container;
  await parts.containerd.snapshots
    .remove({ snapshotter: container.record.snapshotter, key: id })
    .catch((error: unknown) => {
      if (!BoxshipError.is(error, 'notFound')) throw error;
    });
  releaseVolumes(parts, container, true);
  removeContainerDirectory(parts.config, id, parts.log);
  parts.containers.remove(container);
}

function isNameTaken(parts: Parts, name: string): boolean {
  return parts.containers.list().some((container) => container.record.name === name);
}

function warningsOf(parts: Parts, container: Container, options: CreateOptions): string[] {
  const { hostConfig } = container.record;
  const warnings: string[] = [];
  if (parts.host.cgroupVersion === 2 && hostConfig.MemorySwappiness !== null)
    warnings.push(
      'Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.',
    );
  if (hostConfig.NetworkMode === 'host' && Object.keys(hostConfig.PortBindings).length > 0)
    warnings.push('Published ports are discarded when using host network mode');
  if (!apiAtLeast(options.apiVersion, '1.25') && hostConfig.AutoRemove) warnings.push('AutoRemove is ignored');
  return warnings;
}
