/** `GET /containers/{id}/json`. Key order is the wire's. */
import { apiAtLeast, type ContainerInspect } from '@boxship/engine-api';
import { shownLinks } from '../networks/links.ts';
import { networkSettings } from '../networks/settings.ts';
import type { Parts } from '../parts.ts';
import { containerFiles } from './files.ts';
import type { Container, RootMount } from './model.ts';
import { toMountPoint } from './mount-points.ts';
import { containerSizes } from './sizes.ts';
import { appArmorProfileOf } from './spec/apparmor.ts';

export async function inspectContainer(
  parts: Parts,
  container: Container,
  options: { readonly apiVersion: string; readonly hasSize: boolean },
): Promise<ContainerInspect> {
  const { record } = container;
  const files = containerFiles(parts.config, record.id);
  const sizes = options.hasSize ? await containerSizes(parts, container) : undefined;
  const execs = parts.execs.ofContainer(record.id).filter((exec) => exec.state !== 'exited');
  return {
    Id: record.id,
    Created: record.created,
    Path: record.path,
    Args: [...record.args],
    State: {
      ...record.state,
      ...(container.health === undefined ? {} : { Health: container.health }),
    },
    Image: record.imageId,
    ResolvConfPath: record.hasBeenStarted ? files.resolvConf : '',
    HostnamePath: record.hasBeenStarted ? files.hostname : '',
    HostsPath: record.hasBeenStarted ? files.hosts : '',
    LogPath: record.hasBeenStarted ? record.logPath : '',
    Name: `/${record.name}`,
    RestartCount: record.restartCount,
    Driver: graphDriverName(record.snapshotter),
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: record.hasBeenStarted ? appArmorProfileOf(record.hostConfig, parts.host) : '',
    ExecIDs: execs.length === 0 ? null : execs.map((exec) => exec.id),
    HostConfig: {
      ...record.hostConfig,
      Links: shownLinks(parts, record),
      // gone from the wire with 1.42; zero is all that can be said
      ...(apiAtLeast(options.apiVersion, '1.42') ? {} : { KernelMemory: 0, KernelMemoryTCP: 0 }),
    },
    GraphDriver: graphDriver(record.snapshotter, record.rootMounts),
    ...(sizes === undefined ? {} : { SizeRw: sizes.writable, SizeRootFs: sizes.total }),
    Mounts: record.mounts.map(toMountPoint),
    Config: record.config,
    NetworkSettings: networkSettings(record, options.apiVersion),
  };
}

export const graphDriverName = (snapshotter: string): string =>
  snapshotter === 'overlayfs' ? 'overlay2' : snapshotter;

function graphDriver(snapshotter: string, mounts: readonly RootMount[]): ContainerInspect['GraphDriver'] {
  const [mount] = mounts;
  const name = graphDriverName(snapshotter);
  if (mount?.type !== 'overlay') return { Data: null, Name: name };
  const option = (key: string) => mount.options.find((text) => text.startsWith(`${key}=`))?.slice(key.length + 1) ?? '';
  const upper = option('upperdir');
  return {
    Data: {
      LowerDir: option('lowerdir'),
      MergedDir: upper.replace(/\/fs$/, '/merged'),
      UpperDir: upper,
      WorkDir: option('workdir'),
    },
    Name: name,
  };
}
