/**
 * `containerd.services.sandbox.v1.Controller`: sandboxes that are shims, which is what containerd calls the sandboxer `shim`.
 * containerd 1.7 names no sandboxer and has the record of the sandbox in its store.
 */
import { eventTypes, nowTimestamp, type Sandbox, type ServiceHandlers, type sandbox as wire } from '@boxship/api';
import { BoxshipError, checkIdentifier } from '@boxship/base';
import type { EventExchange } from '../events/exchange.ts';
import type { RecordTable } from '../metadata/record-table.ts';
import type { SandboxManager } from '../runtime/sandbox-manager.ts';
import { isShimGone } from '../runtime/shim.ts';

const callTimeoutMs = 10_000;
/** Above the time that the containers are given: to freeze, thaw and kill them. */
const stopTimeoutMs = 30_000;
const shimVersion = 2;

export function sandboxControllerService(options: {
  manager: SandboxManager;
  table: RecordTable<Sandbox>;
  events: EventExchange;
}): ServiceHandlers<typeof wire.ControllerService> {
  const { manager, table, events } = options;
  const quick = (operation: string) => ({ operation, isRepeatable: true, timeoutMs: callTimeoutMs });
  const recordOf = (namespace: string, request: wire.ControllerCreateRequest): Sandbox => {
    const { sandbox, sandboxId } = request;
    if (sandbox?.runtime !== undefined) return sandbox;
    const found = table.get(namespace, sandboxId);
    if (found === undefined) throw new BoxshipError('notFound', `sandbox "${sandboxId}"`);
    return found;
  };
  return {
    async create(request, { namespace }) {
      checkSandboxer(request.sandboxer);
      const { rootfs, options: runtimeArguments, netnsPath, annotations } = request;
      const record = recordOf(namespace, request);
      const id = checkIdentifier(request.sandboxId === '' ? record.sandboxId : request.sandboxId);
      if (record.runtime === undefined || record.runtime.name === '')
        throw new BoxshipError('invalidArgument', `sandbox "${id}": runtime name must be set`);
      await manager.create({
        namespace,
        id,
        runtime: record.runtime.name,
        runtimeOptions: record.runtime.options,
        spec: record.spec?.value ?? Buffer.from('{}'),
        rootfs,
        options: runtimeArguments,
        netnsPath,
        annotations,
      });
      const created = { sandboxId: id };
      events.emit(namespace, '/sandboxes/create', 'containerd.events.SandboxCreate', eventTypes.SandboxCreate, created);
      return created;
    },
    async start({ sandboxId, sandboxer }, { namespace }) {
      checkSandboxer(sandboxer);
      const sandbox = manager.get(namespace, sandboxId);
      const call = { operation: 'StartSandbox', isRepeatable: false, timeoutMs: callTimeoutMs };
      const { pid, createdAt, spec } = await manager.call(sandbox, call, (shim) => shim.startSandbox({ sandboxId }));
      const started = { sandboxId };
      events.emit(namespace, '/sandboxes/start', 'containerd.events.SandboxStart', eventTypes.SandboxStart, started);
      return { sandboxId, pid, createdAt, labels: {}, ...endpointOf(sandbox.shim.address), spec };
    },
    async platform({ sandboxId, sandboxer }, { namespace }) {
      checkSandboxer(sandboxer);
      const sandbox = manager.get(namespace, sandboxId);
      return await manager.call(sandbox, quick('Platform'), (shim) => shim.platform({ sandboxId }));
    },
    async stop({ sandboxId, sandboxer, timeoutSecs }, { namespace }) {
      checkSandboxer(sandboxer);
      const sandbox = manager.find(namespace, sandboxId);
      if (sandbox === undefined) return {}; // as containerd: what is not there is stopped
      const call = { operation: 'StopSandbox', isRepeatable: true, timeoutMs: timeoutSecs * 1000 + stopTimeoutMs };
      return await unlessGone({}, async () => {
        await manager.call(sandbox, call, (shim) => shim.stopSandbox({ sandboxId, timeoutSecs }));
        return {};
      });
    },
    async wait({ sandboxId, sandboxer }, { namespace, signal, remainingMs }) {
      checkSandboxer(sandboxer);
      const sandbox = manager.get(namespace, sandboxId);
      const call = { operation: 'WaitSandbox', isRepeatable: true, timeoutMs: remainingMs, signal };
      return await manager.call(sandbox, call, (shim) => shim.waitSandbox({ sandboxId }));
    },
    async status({ sandboxId, sandboxer, verbose }, { namespace }) {
      checkSandboxer(sandboxer);
      const sandbox = manager.find(namespace, sandboxId);
      if (sandbox === undefined) return unknownStatus(sandboxId);
      return await unlessGone(unknownStatus(sandboxId), async () => {
        const call = quick('SandboxStatus');
        const status = await manager.call(sandbox, call, (shim) => shim.sandboxStatus({ sandboxId, verbose }));
        return { ...status, sandboxId, ...endpointOf(sandbox.shim.address) };
      });
    },
    async shutdown({ sandboxId, sandboxer }, { namespace }) {
      checkSandboxer(sandboxer);
      await manager.shutdown(namespace, sandboxId);
      return {};
    },
    async metrics({ sandboxId, sandboxer }, { namespace }) {
      checkSandboxer(sandboxer);
      const sandbox = manager.get(namespace, sandboxId);
      return await manager.call(sandbox, quick('SandboxMetrics'), (shim) => shim.sandboxMetrics({ sandboxId }));
    },
    /** The service of a shim has no such method; the record is the store's. */
    async update({ sandboxId, sandboxer, sandbox }, { namespace }) {
      checkSandboxer(sandboxer);
      if (sandbox === undefined) throw new BoxshipError('invalidArgument', 'sandbox must be set');
      manager.get(namespace, sandboxId);
      return {};
    },
  };
}

function checkSandboxer(name: string): void {
  if (name !== '' && name !== 'shim')
    throw new BoxshipError('notFound', `failed to get sandbox controller by ${name}: this server has "shim" only`);
}

const endpointOf = (address: string) => ({ address: `ttrpc+${address}`, version: shimVersion });

/** A shim that ends under the call is found to be gone a moment later. */
async function unlessGone<T>(answer: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isShimGone(error)) return answer;
    throw error;
  }
}

/** containerd's answer for a sandbox that is not running: ended, at no time that anybody knows. */
const unknownStatus = (sandboxId: string): wire.ControllerStatusResponse => ({
  sandboxId,
  pid: 0,
  state: '',
  info: {},
  createdAt: undefined,
  exitedAt: nowTimestamp(),
  extra: undefined,
  address: '',
  version: 0,
});
