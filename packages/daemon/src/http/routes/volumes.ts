/** `/volumes/*`. */
import { VolumeCreateSchema } from '@boxship/engine-api';
import type { Parts } from '../../parts.ts';
import { volumeResource } from '../../volumes/resource.ts';
import { listVolumes, pruneVolumes, removeVolume, volumeFilterKeys } from '../../volumes/verbs.ts';
import { parseApiFilters } from '../filters.ts';
import type { Router } from '../server.ts';

export function volumeRoutes(router: Router, parts: Parts): void {
  router.on('GET', '/volumes', (exchange) => {
    const filters = parseApiFilters(exchange.text('filters'), volumeFilterKeys);
    exchange.json({ Volumes: listVolumes(parts, filters), Warnings: null });
  });
  router.on('POST', '/volumes/create', async (exchange) => {
    const { volume, isNew } = parts.volumes.create(await exchange.body(VolumeCreateSchema));
    if (isNew) parts.events.publish('volume', 'create', volume.name, { driver: volume.driver });
    exchange.json(volumeResource(volume), 201);
  });
  router.on('GET', '/volumes/:name', (exchange) =>
    exchange.json(volumeResource(parts.volumes.get(exchange.param('name')))),
  );
  router.on('DELETE', '/volumes/:name', (exchange) => {
    removeVolume(parts, exchange.param('name'), exchange.flag('force'));
    exchange.empty(204);
  });
  router.on('POST', '/volumes/prune', async (exchange) => {
    const filters = parseApiFilters(exchange.text('filters'), ['all', 'label', 'label!']);
    exchange.json(await pruneVolumes(parts, filters, exchange.apiVersion));
  });
}
