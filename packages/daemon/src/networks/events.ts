/** Docker's network events of endpoints. */
import type { Endpoint } from '@boxship/network';
import type { Parts } from '../parts.ts';

export function publishEndpointEvents(
  parts: Parts,
  containerId: string,
  endpoints: readonly Endpoint[],
  action: 'connect' | 'disconnect',
): void {
  for (const endpoint of endpoints)
    parts.events.publish('network', action, endpoint.networkId, {
      container: containerId,
      name: endpoint.networkName,
      type: networkType(endpoint.networkName),
    });
}

const networkType = (name: string): string => (name === 'host' ? 'host' : name === 'none' ? 'null' : 'bridge');
