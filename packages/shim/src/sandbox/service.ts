/** The wire: `containerd.runtime.sandbox.v1.Sandbox`, on the socket of the tasks. One process is one sandbox, or none. */
import { nowTimestamp, type shimSandbox, toTimestamp } from '@boxship/api';
import { BoxshipError, checkIdentifier } from '@boxship/base';
import type { ServiceHandlers } from '@boxship/ttrpc';
import { nowNs } from '../task/exit.ts';
import type { Group } from '../task/group.ts';
import { Sandbox } from './sandbox.ts';
import { stopContainers } from './stop-containers.ts';

/** In the words of the CRI, which containerd passes on. */
const stateNames = { created: 'SANDBOX_NOTREADY', running: 'SANDBOX_READY', stopped: 'SANDBOX_NOTREADY' } as const;

export interface SandboxServiceOptions {
  readonly group: Group;
  /** The shim's own, where the record is. */
  readonly directory: string;
  /** Called when the sandbox is shut down: the process is to end. */
  readonly onShutdown: () => void;
}

const timestamp = (nanoseconds: string) => toTimestamp(BigInt(nanoseconds));

export function sandboxService(
  options: SandboxServiceOptions,
): ServiceHandlers<typeof shimSandbox.SandboxService> & { readonly isPresent: () => boolean } {
  const { group, directory, onShutdown } = options;
  let present = Sandbox.find(directory);
  const named = (id: string): Sandbox => {
    if (present?.record.id !== id) throw new BoxshipError('notFound', `sandbox "${id}"`);
    return present;
  };
  const stop = async (sandbox: Sandbox, graceMs: number): Promise<void> => {
    await stopContainers(group, graceMs);
    sandbox.stopped(String(nowNs()));
  };
  return {
    isPresent: () => present !== undefined,
    // the root file system of a pause container has no use here: there is no such container
    async createSandbox({ sandboxId, bundlePath, netnsPath }) {
      checkIdentifier(sandboxId);
      if (present !== undefined) throw new BoxshipError('alreadyExists', `sandbox "${present.record.id}"`);
      const values = { id: sandboxId, bundle: bundlePath, netnsPath, createdAt: String(nowNs()) };
      present = Sandbox.create(directory, values);
      return {};
    },
    async startSandbox({ sandboxId }) {
      const sandbox = named(sandboxId);
      sandbox.start();
      return { pid: process.pid, createdAt: timestamp(sandbox.record.createdAt), spec: undefined };
    },
    async platform({ sandboxId }) {
      named(sandboxId);
      const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
      return { platform: { os: 'linux', architecture, variant: '', osVersion: '', osFeatures: [] } };
    },
    async stopSandbox({ sandboxId, timeoutSecs }) {
      await stop(named(sandboxId), timeoutSecs * 1000);
      return {};
    },
    async waitSandbox({ sandboxId }) {
      return { exitStatus: 0, exitedAt: timestamp(await named(sandboxId).exited) };
    },
    async sandboxStatus({ sandboxId, verbose }) {
      const { record, state } = named(sandboxId);
      return {
        sandboxId,
        pid: state === 'running' ? process.pid : 0,
        state: stateNames[state],
        info: verbose ? infoOf(record.bundle, record.netnsPath, group) : {},
        createdAt: timestamp(record.createdAt),
        exitedAt: record.exitedAt === undefined ? undefined : timestamp(record.exitedAt),
        extra: undefined,
      };
    },
    async pingSandbox({ sandboxId }) {
      named(sandboxId);
      return {};
    },
    async shutdownSandbox({ sandboxId }) {
      const sandbox = named(sandboxId);
      // an exit code that nobody has fetched would be lost with the process
      if (group.containers.size > 0)
        throw new BoxshipError(
          'failedPrecondition',
          `sandbox "${sandboxId}" still has tasks: ${[...group.containers.keys()].join(', ')}; delete them first`,
        );
      sandbox.stopped(String(nowNs()));
      sandbox.remove();
      onShutdown();
      return {};
    },
    /** No cgroup is the sandbox's own: its containers are measured one by one. */
    async sandboxMetrics({ sandboxId }) {
      named(sandboxId);
      return { metrics: { timestamp: nowTimestamp(), id: sandboxId, data: undefined } };
    },
  };
}

const infoOf = (bundle: string, netnsPath: string, group: Group): Record<string, string> => ({
  bundle,
  netnsPath,
  containers: JSON.stringify([...group.containers.keys()]),
});
