/** `update` and `rename`: changes to a container that keeps running. */
import { encodeJsonAny, typeUrls } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { ContainerUpdateRequest, HostConfig } from '@boxship/engine-api';
import type { Parts } from '../parts.ts';
import { type Container, eventAttributes } from './model.ts';
import { checkContainerName } from './names.ts';
import { checkLimits } from './resource-limits.ts';
import { runtimeResources } from './spec/resources.ts';

const numbers = [
  'BlkioWeight', 'CpuShares', 'CpuPeriod', 'CpuQuota', 'CpuRealtimePeriod', 'CpuRealtimeRuntime', 'Memory',
  'MemoryReservation', 'MemorySwap', 'NanoCpus',
] as const; // biome-ignore format: a list
const texts = ['CpusetCpus', 'CpusetMems'] as const;

/** @throws invalidArgument, conflict */
export async function updateContainer(
  parts: Parts,
  container: Container,
  request: ContainerUpdateRequest,
): Promise<void> {
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  if (record.phase === 'removing')
    throw new BoxshipError('conflict', 'container is marked for removal and cannot be "update"');
  const changed: HostConfig = { ...record.hostConfig };
  for (const field of numbers) if ((request[field] ?? 0) !== 0) changed[field] = request[field] ?? 0;
  for (const field of texts) if (request[field]) changed[field] = request[field] ?? '';
  if (request.PidsLimit !== undefined)
    changed.PidsLimit = request.PidsLimit === 0 ? changed.PidsLimit : request.PidsLimit;
  if (
    (request.Memory ?? 0) > 0 &&
    (request.MemorySwap ?? 0) === 0 &&
    changed.MemorySwap > 0 &&
    changed.Memory > changed.MemorySwap
  )
    throw new BoxshipError(
      'conflict',
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    );
  const { PidsLimit, MemorySwappiness: _, ...rest } = changed;
  checkLimits(
    {
      ...Object.fromEntries(Object.entries(rest).filter(([key]) => [...numbers, ...texts].includes(key as never))),
      ...(PidsLimit === null ? {} : { PidsLimit }),
    },
    parts.host,
  );
  const policy = request.RestartPolicy;
  if (policy?.Name) {
    if (record.hostConfig.AutoRemove && policy.Name !== 'no')
      throw new BoxshipError(
        'conflict',
        'Restart policy cannot be updated because AutoRemove is enabled for the container',
      );
    if (!['no', 'always', 'unless-stopped', 'on-failure'].includes(policy.Name))
      throw new BoxshipError('invalidArgument', `invalid restart policy '${policy.Name}'`);
    changed.RestartPolicy = { Name: policy.Name, MaximumRetryCount: policy.MaximumRetryCount ?? 0 };
  }
  if (record.state.Running && !record.state.Restarting)
    await parts.containerd.tasks.update({
      containerId: container.id,
      resources: encodeJsonAny(typeUrls.linuxResources, runtimeResources(changed, parts.host)),
      annotations: {},
    });
  record.hostConfig = changed;
  parts.containers.save(container);
  parts.events.publish('container', 'update', container.id, eventAttributes(record));
}

/** @throws invalidArgument, conflict when the name is taken */
export async function renameContainer(parts: Parts, container: Container, name: string): Promise<void> {
  if (name === '') throw new BoxshipError('invalidArgument', 'Neither old nor new names may be empty');
  using _turn = await parts.mutex.acquire(container.id);
  const old = container.record.name;
  const checked = checkContainerName(name);
  if (checked === old)
    throw new BoxshipError('invalidArgument', 'Renaming a container with the same name as its current name');
  try {
    parts.containers.rename(container, checked);
  } catch (error) {
    if (!BoxshipError.is(error, 'conflict')) throw error;
    throw new BoxshipError('conflict', `Error when allocating new name: ${error.message}`, { cause: error });
  }
  if (container.record.sandbox !== undefined) await renameInNetwork(parts, container, checked);
  parts.events.publish('container', 'rename', container.id, {
    ...eventAttributes(container.record),
    oldName: `/${old}`,
  });
}

/** The names in the DNS follow. A network that is away just now is no reason to keep the old name: it is logged. */
async function renameInNetwork(parts: Parts, container: Container, name: string): Promise<void> {
  const { record } = container;
  try {
    await parts.network?.rename(container.id, name);
    const sandbox = await parts.network?.sandbox(container.id);
    if (record.sandbox === undefined || sandbox === undefined) return;
    record.sandbox = { ...record.sandbox, endpoints: sandbox.endpoints };
    parts.containers.save(container);
  } catch (error) {
    parts.log.error('the network keeps the old name of a container', { container: container.id, name, error });
  }
}

/** @throws conflict when not running */
export async function resizeTerminal(
  parts: Parts,
  containerId: string,
  execId: string,
  size: { readonly height: number; readonly width: number },
): Promise<void> {
  await parts.containerd.tasks.resizePty({ containerId, execId, ...size });
}
