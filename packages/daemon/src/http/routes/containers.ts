/** `/containers/*` without the streams. Thin: reads the request, calls one verb, writes the answer. */
import { BoxshipError } from '@boxship/base';
import { ContainerCreateSchema, ContainerUpdateSchema } from '@boxship/engine-api';
import { createContainer } from '../../containers/create.ts';
import { inspectContainer } from '../../containers/inspect.ts';
import { containerFilterKeys, listContainers } from '../../containers/list.ts';
import { notRunning } from '../../containers/model.ts';
import { pruneContainers } from '../../containers/prune.ts';
import { removeContainer } from '../../containers/remove.ts';
import { startContainer } from '../../containers/start.ts';
import {
  killContainer,
  pauseContainer,
  restartContainer,
  type StopOptions,
  stopContainer,
  unpauseContainer,
} from '../../containers/stop.ts';
import { topContainer } from '../../containers/top.ts';
import { renameContainer, resizeTerminal, updateContainer } from '../../containers/update.ts';
import type { Parts } from '../../parts.ts';
import type { Exchange } from '../exchange.ts';
import { parseApiFilters } from '../filters.ts';
import type { Router } from '../server.ts';

export function containerRoutes(router: Router, parts: Parts): void {
  const containerOf = (exchange: Exchange) => parts.containers.get(exchange.param('id'));
  const stopOptions = (exchange: Exchange): StopOptions => ({
    timeoutSeconds: exchange.integer('t'),
    signal: exchange.text('signal'),
  });

  router.on('GET', '/containers/json', async (exchange) => {
    const { apiVersion } = exchange;
    exchange.json(
      await listContainers(parts, {
        isAll: exchange.flag('all'),
        limit: exchange.integer('limit') ?? 0,
        hasSize: exchange.flag('size'),
        filters: withLegacy(exchange),
        apiVersion,
      }),
    );
  });
  router.on('POST', '/containers/create', async (exchange) => {
    const { apiVersion } = exchange;
    const request = await exchange.body(ContainerCreateSchema);
    if (Object.keys(request).length === 0)
      throw new BoxshipError('invalidArgument', 'Config cannot be empty in order to create a container');
    const name = exchange.text('name');
    exchange.json(await createContainer(parts, request, { name, apiVersion }), 201);
  });
  router.on('GET', '/containers/:id/json', async (exchange) => {
    const { apiVersion } = exchange;
    exchange.json(await inspectContainer(parts, containerOf(exchange), { apiVersion, hasSize: exchange.flag('size') }));
  });
  router.on('POST', '/containers/:id/start', async (exchange) => {
    await startContainer(parts, containerOf(exchange));
    exchange.empty(204);
  });
  router.on('POST', '/containers/:id/stop', async (exchange) => {
    await stopContainer(parts, containerOf(exchange), stopOptions(exchange));
    exchange.empty(204);
  });
  router.on('POST', '/containers/:id/restart', async (exchange) => {
    await restartContainer(parts, containerOf(exchange), stopOptions(exchange));
    exchange.empty(204);
  });
  router.on('POST', '/containers/:id/kill', async (exchange) => {
    await killContainer(parts, containerOf(exchange), exchange.param('id'), exchange.text('signal'));
    exchange.empty(204);
  });
  router.on('POST', '/containers/:id/pause', async (exchange) => {
    await pauseContainer(parts, containerOf(exchange));
    exchange.empty(204);
  });
  router.on('POST', '/containers/:id/unpause', async (exchange) => {
    await unpauseContainer(parts, containerOf(exchange));
    exchange.empty(204);
  });
  router.on('POST', '/containers/:id/rename', async (exchange) => {
    await renameContainer(parts, containerOf(exchange), exchange.text('name'));
    exchange.empty(204);
  });
  router.on('POST', '/containers/:id/update', async (exchange) => {
    const container = containerOf(exchange);
    await updateContainer(parts, container, await exchange.body(ContainerUpdateSchema));
    exchange.json({ Warnings: null });
  });
  router.on('POST', '/containers/:id/resize', async (exchange) => {
    const container = containerOf(exchange);
    if (!container.record.state.Running) throw notRunning(container);
    await resizeTerminal(parts, container.id, '', sizeOf(exchange));
    exchange.empty(200);
  });
  router.on('GET', '/containers/:id/top', async (exchange) => {
    exchange.json(await topContainer(parts, containerOf(exchange), exchange.text('ps_args')));
  });
  router.on('DELETE', '/containers/:id', async (exchange) => {
    await removeContainer(parts, containerOf(exchange), exchange.param('id'), {
      isForced: exchange.flag('force'),
      removeVolumes: exchange.flag('v'),
    });
    exchange.empty(204);
  });
  router.on('POST', '/containers/prune', async (exchange) => {
    const filters = parseApiFilters(exchange.text('filters'), ['label', 'label!', 'until']);
    exchange.json(await pruneContainers(parts, filters));
  });
}

/** `before` and `since` were parameters of their own once. */
function withLegacy(exchange: Exchange) {
  const filters = new Map(parseApiFilters(exchange.text('filters'), containerFilterKeys));
  for (const key of ['before', 'since']) if (exchange.text(key) !== '') filters.set(key, [exchange.text(key)]);
  return filters;
}

/** @throws invalidArgument */
export function sizeOf(exchange: Exchange): { height: number; width: number } {
  const read = (name: string, what: string): number => {
    const text = exchange.text(name);
    if (!/^\d{1,5}$/.test(text))
      throw new BoxshipError('invalidArgument', `invalid resize ${what} "${text}": invalid syntax`);
    return Number(text);
  };
  return { height: read('h', 'height'), width: read('w', 'width') };
}
