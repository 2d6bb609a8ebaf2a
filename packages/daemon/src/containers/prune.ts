/** Removes every container that does not run. */
import { BoxshipError } from '@boxship/base';
import type { ContainersPruneResponse } from '@boxship/engine-api';
import { parseTimeNs } from '../clock.ts';
import { type ApiFilters, matchesLabels } from '../http/filters.ts';
import { parseInstant } from '../http/times.ts';
import type { Parts } from '../parts.ts';
import { removeContainer } from './remove.ts';
import { containerSizes } from './sizes.ts';

export async function pruneContainers(parts: Parts, filters: ApiFilters): Promise<ContainersPruneResponse> {
  const until = parseInstant(filters.get('until')?.[0] ?? '');
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const container of parts.containers.list()) {
    const { record } = container;
    if (record.state.Running || record.phase !== 'ready' || record.isStarting) continue;
    if (until !== undefined && parseTimeNs(record.created) > until) continue;
    if (!matchesLabels(filters, record.config.Labels)) continue;
    try {
      const { writable } = await containerSizes(parts, container);
      await removeContainer(parts, container, container.id, {});
      reclaimed += writable;
      deleted.push(container.id);
    } catch (error) {
      if (!BoxshipError.is(error, 'conflict') && !BoxshipError.is(error, 'notFound')) throw error; // started or removed meanwhile
    }
  }
  parts.events.publish('container', 'prune', '', { reclaimed: String(reclaimed) });
  return { ContainersDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed };
}
