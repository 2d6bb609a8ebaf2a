import { BoxshipError } from '@boxship/base';
import type { EngineClient } from '@boxship/engine-api';

/** Removes every container with its anonymous volumes, running or not. @throws the first failure, after trying all */
export async function removeContainers(client: EngineClient): Promise<void> {
  const all = await client.containers.list({ all: true });
  const outcomes = await Promise.allSettled(
    all.map(({ Id }) => client.containers.remove(Id, { force: true, v: true })),
  );
  for (const outcome of outcomes)
    if (outcome.status === 'rejected' && !BoxshipError.is(outcome.reason, 'notFound')) throw outcome.reason;
}
