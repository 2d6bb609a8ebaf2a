/** `/networks/*`. */
import { NetworkConnectSchema, NetworkCreateSchema, NetworkDisconnectSchema } from '@boxship/engine-api';
import {
  connectNetwork,
  createNetwork,
  disconnectNetwork,
  inspectNetwork,
  listNetworks,
  networkFilterKeys,
  pruneNetworks,
  removeNetwork,
} from '../../networks/verbs.ts';
import type { Parts } from '../../parts.ts';
import { parseApiFilters } from '../filters.ts';
import type { Router } from '../server.ts';

export function networkRoutes(router: Router, parts: Parts): void {
  router.on('GET', '/networks', async (exchange) => {
    const filters = parseApiFilters(exchange.text('filters'), networkFilterKeys);
    exchange.json(await listNetworks(parts, filters, exchange.apiVersion));
  });
  router.on('GET', '/networks/:id', async (exchange) => {
    exchange.json(await inspectNetwork(parts, exchange.param('id'), exchange.apiVersion));
  });
  router.on('POST', '/networks/create', async (exchange) => {
    exchange.json(await createNetwork(parts, await exchange.body(NetworkCreateSchema)), 201);
  });
  router.on('POST', '/networks/:id/connect', async (exchange) => {
    const { Container = '', EndpointConfig = {} } = await exchange.body(NetworkConnectSchema);
    await connectNetwork(parts, exchange.param('id'), Container, EndpointConfig);
    exchange.empty(200);
  });
  router.on('POST', '/networks/:id/disconnect', async (exchange) => {
    const { Container = '', Force = false } = await exchange.body(NetworkDisconnectSchema);
    await disconnectNetwork(parts, exchange.param('id'), Container, Force);
    exchange.empty(200);
  });
  router.on('DELETE', '/networks/:id', async (exchange) => {
    await removeNetwork(parts, exchange.param('id'));
    exchange.empty(204);
  });
  router.on('POST', '/networks/prune', async (exchange) => {
    const filters = parseApiFilters(exchange.text('filters'), ['label', 'label!', 'until']);
    exchange.json(await pruneNetworks(parts, filters));
  });
}
