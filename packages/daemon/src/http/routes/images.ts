/** `/images/*`. Names have slashes, so the verb is what follows the last one. */

import { ContainerConfigSchema } from '@boxship/engine-api';
import { loadImages, saveImages } from '../../images/archive.ts';
import { commitContainer } from '../../images/commit.ts';
import { createImage } from '../../images/create.ts';
import { inspectDistribution } from '../../images/distribution.ts';
import { imageHistory, inspectImage } from '../../images/inspect.ts';
import { imageFilterKeys, listImages } from '../../images/list.ts';
import { pushImage } from '../../images/push.ts';
import { pruneImages, removeImage } from '../../images/remove.ts';
import { tagImage } from '../../images/tag.ts';
import type { Parts } from '../../parts.ts';
import type { Exchange } from '../exchange.ts';
import { parseApiFilters } from '../filters.ts';
import type { Router } from '../server.ts';

type Verb = (exchange: Exchange, name: string) => Promise<void>;

export function imageRoutes(router: Router, parts: Parts): void {
  router.on('GET', '/images/json', async (exchange) => {
    const { apiVersion } = exchange;
    const filters = new Map(parseApiFilters(exchange.text('filters'), imageFilterKeys));
    // a parameter of its own until 1.41
    if (exchange.text('filter') !== '') filters.set('reference', [exchange.text('filter')]);
    exchange.json(await listImages(parts, { filters, apiVersion, hasSharedSize: exchange.flag('shared-size') }));
  });
  router.on('POST', '/images/create', (exchange) => createImage(parts, exchange));
  router.on('POST', '/images/prune', async (exchange) => {
    const filters = parseApiFilters(exchange.text('filters'), ['dangling', 'label', 'label!', 'until']);
    exchange.json(await pruneImages(parts, filters));
  });
  router.on('POST', '/images/load', (exchange) => loadImages(parts, exchange));
  router.on('POST', '/commit', async (exchange) => {
    const container = parts.containers.get(exchange.text('container'));
    const config = await exchange.body(ContainerConfigSchema, { isOptional: true });
    const id = await commitContainer(parts, container, {
      repo: exchange.text('repo'),
      tag: exchange.text('tag'),
      comment: exchange.text('comment'),
      author: exchange.text('author'),
      isPaused: exchange.flag('pause', true),
      changes: exchange.query.getAll('changes'),
      config,
    });
    exchange.json({ Id: id }, 201);
  });
  router.on('GET', '/images/get', (exchange) => saveImages(parts, exchange, exchange.query.getAll('names')));
  router.on('GET', '/distribution/*', async (exchange) => {
    const name = exchange.param('*').replace(/\/json$/, '');
    exchange.json(await inspectDistribution(parts, exchange, name));
  });
  byVerb(router, 'GET', {
    json: async (exchange, name) =>
      exchange.json(await inspectImage(parts, await parts.images.find(name), exchange.apiVersion)),
    history: async (exchange, name) => exchange.json(await imageHistory(parts, await parts.images.find(name))),
    get: (exchange, name) => saveImages(parts, exchange, [name]),
  });
  byVerb(router, 'POST', {
    async tag(exchange, name) {
      await tagImage(parts, await parts.images.find(name), exchange.text('repo'), exchange.text('tag'));
      exchange.empty(201);
    },
    push: (exchange, name) => pushImage(parts, exchange, name),
  });
  router.on('DELETE', '/images/*', async (exchange) => {
    exchange.json(await removeImage(parts, exchange.param('*'), exchange.flag('force')));
  });
}

function byVerb(router: Router, method: 'GET' | 'POST', verbs: Readonly<Record<string, Verb>>): void {
  router.on(method, '/images/*', async (exchange) => {
    const path = exchange.param('*');
    const slash = path.lastIndexOf('/');
    const verb = verbs[path.slice(slash + 1)];
    if (verb === undefined || slash <= 0) return void exchange.reply.callNotFound();
    await verb(exchange, path.slice(0, slash));
  });
}
