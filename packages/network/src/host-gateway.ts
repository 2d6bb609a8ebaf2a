/** What `host-gateway` in an extra host stands for when it is not configured: the default bridge, else any address of the host. */
import { networkInterfaces } from 'node:os';
import type { State } from './state.ts';

export function hostGateway(state: State): string {
  for (const { network } of state.networks.values())
    if (network.spec.name === 'bridge') return network.spec.pools[0]?.gateway ?? '127.0.0.1';
  return (
    Object.values(networkInterfaces())
      .flat()
      .find((entry) => entry?.internal === false)?.address ?? '127.0.0.1'
  );
}
