/** What each part of an engine is told, out of the daemon's settings: the same for processes and for parts in one process. */
import { createHash } from 'node:crypto';
import type { DaemonConfig } from '@boxship/daemon';
import { type EnginePaths, programPath } from './paths.ts';

export function containerdArguments(config: DaemonConfig, paths: EnginePaths): string[] {
  return [
    ...['--root', paths.containerdRoot, '--state', paths.containerdState, '--address', paths.containerdSocket],
    ...['--log-level', config.logLevel, '--shim', programPath('containerd-shim-boxship-v2')],
    ...['--warm-namespace', config.containerdNamespace],
    ...config.insecureRegistries.flatMap((name) => ['--insecure-registry', name]),
    ...config.registryMirrors.flatMap((url) => ['--registry-mirror', url]),
    ...(config.thinPool === '' ? [] : ['--devmapper-pool', config.thinPool]),
  ];
}

export function networkArguments(config: DaemonConfig, paths: EnginePaths): string[] {
  return [
    ...['--address', paths.networkSocket, '--root', paths.networkRoot, '--exec-root', paths.networkExecRoot],
    ...['--log-level', config.logLevel, '--instance', instanceOf(config.dataRoot)],
    ...config.networkFlags,
  ];
}

/** What the user has set, as a flag or in the file, stays his: saying it twice is an error with dockerd too. */
export function daemonArguments(config: DaemonConfig, paths: EnginePaths, hosts: readonly string[]): string[] {
  return [
    ...(config.given.has('host') ? [] : hosts.flatMap((host) => ['--host', host])),
    ...(config.given.has('containerd') ? [] : ['--containerd', paths.containerdSocket]),
    ...['--network-address', paths.networkTtrpcSocket, '--logger', paths.loggerProgram],
  ];
}

/** Names the engine in the kernel, so that two engines of one machine never touch each other's links and rules. */
const instanceOf = (dataRoot: string): string => createHash('sha256').update(dataRoot).digest('hex').slice(0, 8);
