/** `GET /info`. Key order is the wire's. */
import { readdirSync, readFileSync } from 'node:fs';
import { apiAtLeast, type SystemInfo } from '@boxship/engine-api';
import { graphDriverName } from '../containers/inspect.ts';
import type { Parts } from '../parts.ts';
import { product } from '../product.ts';
import { engineId } from './engine-id.ts';
import { runcVersion } from './runc-version.ts';

const indexServer = 'https://index.docker.io/v1/';

export async function systemInfo(parts: Parts, apiVersion: string): Promise<SystemInfo> {
  const { config, host, containers } = parts;
  const [images, version, runc] = await Promise.all([
    parts.images.list(),
    parts.containerd.version.version(),
    runcVersion(config),
  ]);
  const states = containers.list().map((container) => container.record.state);
  const count = (test: (state: (typeof states)[number]) => boolean) => states.filter(test).length;
  const isV1 = host.cgroupVersion === 1;
  const forwarding = readText('/proc/sys/net/ipv4/ip_forward').trim() === '1';
  return {
    ID: engineId(parts),
    Containers: states.length,
    ContainersRunning: count((state) => state.Running && !state.Paused),
    ContainersPaused: count((state) => state.Paused),
    ContainersStopped: count((state) => !state.Running),
    Images: images.length,
    Driver: graphDriverName(config.snapshotter),
    DriverStatus: [
      ['Backing Filesystem', 'extfs'],
      ['Supports d_type', 'true'],
      ['Native Overlay Diff', 'true'],
      ['userxattr', 'false'],
      ['driver-type', 'io.containerd.snapshotter.v1'],
    ],
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['json-file', 'local', 'none'],
    },
    MemoryLimit: true,
    SwapLimit: true,
    ...(isV1 ? { KernelMemory: !apiAtLeast(apiVersion, '1.42'), KernelMemoryTCP: true } : {}),
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    IPv4Forwarding: forwarding,
    ...(apiAtLeast(apiVersion, '1.50') ? {} : { BridgeNfIptables: false, BridgeNfIp6tables: false }),
    Debug: config.isDebug,
    NFd: readdirSync('/proc/self/fd').length,
    OomKillDisable: isV1,
    NGoroutines: 1,
    SystemTime: new Date().toISOString(),
    LoggingDriver: config.logDriver,
    CgroupDriver: 'cgroupfs',
    CgroupVersion: String(host.cgroupVersion),
    NEventsListener: parts.events.listenerCount,
    KernelVersion: host.kernelVersion,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.operatingSystemVersion,
    OSType: 'linux',
    Architecture: host.machine,
    IndexServerAddress: indexServer,
    RegistryConfig: registryConfig(parts),
    NCPU: host.cpuCount,
    MemTotal: host.memoryBytes,
    GenericResources: null,
    DockerRootDir: config.dataRoot,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: host.hostname,
    Labels: [...config.labels],
    ExperimentalBuild: false,
    ServerVersion: product.version,
    Runtimes: Object.fromEntries(Object.entries(config.runtimes).map(([name, path]) => [name, { path }])),
    DefaultRuntime: config.defaultRuntime,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true, // containers never depend on the daemon
    Isolation: '',
    InitBinary: config.initPath,
    ContainerdCommit: { ID: version.revision, Expected: version.revision },
    RuncCommit: { ID: runc.commit, Expected: runc.commit },
    InitCommit: { ID: '', Expected: '' },
    SecurityOptions: [
      ...(host.hasAppArmor ? ['name=apparmor'] : []),
      ...(host.hasSeccomp ? [`name=seccomp,profile=${config.seccompProfile}`] : []),
      ...(isV1 ? [] : ['name=cgroupns']),
    ],
    ...(apiAtLeast(apiVersion, '1.46')
      ? {
          Containerd: {
            Address: config.containerdAddress,
            Namespaces: { Containers: config.containerdNamespace, Plugins: 'plugins.moby' },
          },
        }
      : {}),
    Warnings: null,
  };
}

function registryConfig({ config }: Parts): SystemInfo['RegistryConfig'] {
  const insecure = config.insecureRegistries.filter((entry) => !entry.includes('/'));
  return {
    AllowNondistributableArtifactsCIDRs: null,
    AllowNondistributableArtifactsHostnames: null,
    InsecureRegistryCIDRs: ['127.0.0.0/8', ...config.insecureRegistries.filter((entry) => entry.includes('/'))],
    IndexConfigs: {
      'docker.io': { Name: 'docker.io', Mirrors: [...config.registryMirrors], Secure: true, Official: true },
      ...Object.fromEntries(insecure.map((Name) => [Name, { Name, Mirrors: [], Secure: false, Official: false }])),
    },
    Mirrors: [...config.registryMirrors],
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // not mounted here: unknown is "off"
  }
}
