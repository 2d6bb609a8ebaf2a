/** `_ping`, `version`, `info`, `events`, `system/df`, `auth`. */
import { AuthSchema, type EventMessage } from '@boxship/engine-api';
import { eventFilterKeys, eventMatcher } from '../../events/match.ts';
import { login } from '../../images/login.ts';
import type { Parts } from '../../parts.ts';
import { diskUsage } from '../../system/disk-usage.ts';
import { systemInfo } from '../../system/info.ts';
import { systemVersion } from '../../system/version.ts';
import { commonHeaders, type Exchange } from '../exchange.ts';
import { parseApiFilters } from '../filters.ts';
import { startStream } from '../json-stream.ts';
import type { Router } from '../server.ts';
import { parseInstant } from '../times.ts';

export function systemRoutes(router: Router, parts: Parts): void {
  const ping = (exchange: Exchange) => {
    const isHead = exchange.request.method === 'HEAD';
    exchange.reply
      .code(200)
      .headers({
        ...commonHeaders(),
        'Content-Type': 'text/plain; charset=utf-8',
        'Cache-Control': 'no-cache, no-store, must-revalidate',
        Pragma: 'no-cache',
        'Builder-Version': '1',
        Swarm: 'inactive',
        ...(isHead ? { 'Content-Length': '0' } : {}),
      })
      .send(isHead ? undefined : Buffer.from('OK'));
  };
  router.on('GET', '/_ping', ping);
  router.on('HEAD', '/_ping', ping);
  router.on('GET', '/version', async (exchange) => exchange.json(await systemVersion(parts)));
  router.on('GET', '/info', async (exchange) => exchange.json(await systemInfo(parts, exchange.apiVersion)));
  router.on('GET', '/system/df', async (exchange) =>
    exchange.json(await diskUsage(parts, exchange.query.getAll('type'), exchange.apiVersion)),
  );
  router.on('POST', '/auth', async (exchange) => exchange.json(await login(parts, await exchange.body(AuthSchema))));
  router.on('GET', '/events', (exchange) => streamEvents(parts, exchange));
}

async function streamEvents(parts: Parts, exchange: Exchange): Promise<void> {
  const matches = eventMatcher(parseApiFilters(exchange.text('filters'), eventFilterKeys));
  const since = parseInstant(exchange.text('since'));
  const until = parseInstant(exchange.text('until'));
  const end = new AbortController();
  const signal = AbortSignal.any([exchange.signal, parts.stopping, end.signal]);
  // subscribed before the past is read, so that nothing falls between
  const live = parts.events.subscribe(signal);
  const past = since === undefined ? [] : parts.events.history().filter((event) => nanos(event) >= since);
  const stream = startStream(exchange, 'application/json');
  for (const event of past)
    if (matches(event) && (until === undefined || nanos(event) <= until)) await stream.json(event);
  const leftMs = until === undefined ? undefined : Number(until / 1_000_000n) - Date.now();
  const timer =
    leftMs === undefined ? undefined : setTimeout(() => end.abort(), Math.min(Math.max(0, leftMs), 2 ** 31 - 1));
  try {
    const shown = new Set(past);
    for await (const event of live) if (!shown.has(event) && matches(event)) await stream.json(event);
  } finally {
    clearTimeout(timer);
    stream.end();
  }
}

const nanos = (event: EventMessage): bigint => BigInt(Math.round(event.timeNano));
