/**
 * Task Create: root file system mounted, stdio made, `runc create` run (not for what is to be restored: see restore.ts); undone in
 * reverse when a step fails.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { decodeAny, runcOptions, type shimTask } from '@boxship/api';
import { BoxshipError, checkIdentifier, failPoint } from '@boxship/base';
import { bootId, mount, unmountAll } from '@boxship/linux';
import type { RuntimeSpec } from '@boxship/oci';
import { ProcessStdio } from '../io/process-stdio.ts';
import { Container } from './container.ts';
import { superviseProcess } from './exit.ts';
import type { Group } from './group.ts';
import { type ContainerRecord, newProcess, type RuntimeSettings, removeRecord } from './record.ts';
import { runtimeFailure } from './runtime-failure.ts';

const DEFAULT_ROOT = '/run/containerd/runc';

export async function createTask(group: Group, request: shimTask.CreateTaskRequest): Promise<Container> {
  checkIdentifier(request.id);
  if (!isAbsolute(request.bundle))
    throw new BoxshipError('invalidArgument', `bundle ${JSON.stringify(request.bundle)} is not an absolute path`);
  return await group.turns.run(request.id, async () => {
    if (group.containers.has(request.id)) throw new BoxshipError('alreadyExists', `task ${request.id}`);
    const options = decodeOptions(request.options);
    const container = new Container(makeRecord(group, request, options), group.options.log);
    await using undo = new AsyncDisposableStack();
    container.save();
    undo.defer(() => removeRecord(container.bundle));
    mountRootfs(container, undo);
    await failPoint('start.mounts-made');
    const { init } = container;
    const context = container.stdioContext(init.record, group.options.namespace, group.options.socketDirectory);
    const stdio = await ProcessStdio.open(init.record.stdio, context);
    undo.defer(() => stdio.close());
    init.stdio = stdio;
    // what is to be restored has no process before its start
    if (container.record.restoreFrom === undefined) await createInRuntime(group, container);
    else init.record.phase = 'created';
    container.save();
    group.containers.set(container.id, container);
    undo.move();
    group.events.created(container, request.rootfs, container.record.restoreFrom ?? '');
    return container;
  });
}

async function createInRuntime(group: Group, container: Container): Promise<void> {
  const { init, runtime, bundle, record } = container;
  const pidFile = join(bundle, 'init.pid');
  try {
    await group.duringCommand(() =>
      (init.stdio as ProcessStdio).withRuntime(async (stdio, consoleSocket) => {
        init.record.pid = await runtime.create(container.id, {
          bundle,
          pidFile,
          stdio,
          consoleSocket,
          isNoPivot: record.runtime.isNoPivot,
          isNoNewKeyring: record.runtime.isNoNewKeyring,
          onSpawn: (pid) => {
            init.record.runtimePid = pid;
            container.save();
          },
        });
      }),
    );
    await failPoint('start.runc-created');
    superviseProcess(group, container, init);
    void container.cgroups; // read while the init waits for its start: one that ends at once could not be asked any more
    init.record.phase = 'created';
    init.record.runtimePid = 0;
  } catch (error) {
    // the init may exist although the command failed (deadline, console lost): nothing of it may stay
    await runtime
      .delete(container.id, { isForced: true })
      .catch((cause: unknown) =>
        container.log.warn('container left by a failed create could not be deleted', { error: cause }),
      );
    throw runtimeFailure('create', error);
  }
}

function mountRootfs(container: Container, undo: AsyncDisposableStack): void {
  const { rootfs } = container;
  if (container.record.rootfs.length === 0) return;
  mkdirSync(rootfs, { recursive: true, mode: 0o711 });
  undo.defer(() => unmountAll(rootfs));
  for (const spec of container.record.rootfs) mount({ ...spec, target: rootfs });
}

function decodeOptions(any: shimTask.CreateTaskRequest['options']): runcOptions.Options {
  if (any === undefined || any.typeUrl === '') return runcOptions.Options.decode(new Uint8Array(0));
  const decoded = decodeAny(any);
  if (decoded.kind === 'message' && decoded.name === 'containerd.runc.v1.Options')
    return decoded.value as runcOptions.Options;
  throw new BoxshipError('invalidArgument', `options of type ${any.typeUrl}: want containerd.runc.v1.Options`);
}

function makeRecord(group: Group, request: shimTask.CreateTaskRequest, options: runcOptions.Options): ContainerRecord {
  const spec = readSpec(request.bundle);
  const pidNamespace = spec.linux?.namespaces?.find((namespace) => namespace.type === 'pid');
  const runtime: RuntimeSettings = {
    binary: options.binaryName || 'runc',
    root: join(options.root || DEFAULT_ROOT, group.options.namespace),
    isSystemdCgroup: options.systemdCgroup,
    isNoPivot: options.noPivotRoot,
    isNoNewKeyring: options.noNewKeyring,
    ioUid: options.ioUid,
    ioGid: options.ioGid,
  };
  const restoreFrom = options.criuImagePath || request.checkpoint;
  return {
    version: 1,
    group: group.options.groupId,
    namespace: group.options.namespace,
    id: request.id,
    bundle: request.bundle,
    bootId: bootId(),
    runtime,
    rootfs: request.rootfs.map(({ type, source, options: mountOptions }) => ({ type, source, options: mountOptions })),
    ...(restoreFrom !== '' && { restoreFrom }),
    hasOwnPidNamespace: pidNamespace !== undefined && (pidNamespace.path ?? '') === '',
    processes: [newProcess('', request)],
  };
}

function readSpec(bundle: string): RuntimeSpec {
  const path = join(bundle, 'config.json');
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as RuntimeSpec;
  } catch (cause) {
    throw new BoxshipError('invalidArgument', `${path} cannot be read as an OCI specification`, { cause });
  }
}
