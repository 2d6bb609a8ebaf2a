/** attach, logs, wait, stats: answers that last. */

import { STATUS_CODES } from 'node:http';
import { BoxshipError, sleep } from '@boxship/base';
import { apiAtLeast, type ContainerStats } from '@boxship/engine-api';
import { attach, checkAttachable } from '../../containers/attach.ts';
import { parseDetachKeys } from '../../containers/detach-keys.ts';
import { readableLog, writeLogs } from '../../containers/logs.ts';
import { sampleStats } from '../../containers/stats.ts';
import { parseWaitCondition, waitContainer } from '../../containers/wait.ts';
import type { Parts } from '../../parts.ts';
import { type Exchange, statusOf } from '../exchange.ts';
import { hijack, refuseHijack, streamType } from '../hijack.ts';
import { startStream } from '../json-stream.ts';
import type { Router } from '../server.ts';
import { parseInstant } from '../times.ts';

const statsPeriodMs = 1000;

export function containerStreamRoutes(router: Router, parts: Parts): void {
  const containerOf = (exchange: Exchange) => parts.containers.get(exchange.param('id'));

  router.on('POST', '/containers/:id/attach', async (exchange) => {
    let container: ReturnType<typeof containerOf>;
    const detachKeys = exchange.text('detachKeys');
    try {
      container = containerOf(exchange);
      checkAttachable(container);
      if (detachKeys !== '') parseDetachKeys(detachKeys);
    } catch (error) {
      const status = statusOf(error);
      return refuseHijack(exchange, status, STATUS_CODES[status] ?? '', (error as Error).message);
    }
    for await (const _ of exchange.request.raw); // a body means nothing here, but it must be out of the way
    const isTty = container.record.config.Tty;
    const socket = hijack(exchange, { contentType: streamType(isTty, exchange.apiVersion) });
    await attach(parts, container, socket, {
      stream: exchange.flag('stream'),
      stdin: exchange.flag('stdin'),
      stdout: exchange.flag('stdout'),
      stderr: exchange.flag('stderr'),
      logs: exchange.flag('logs'),
      detachKeys,
    });
  });

  router.on('GET', '/containers/:id/logs', async (exchange) => {
    const container = containerOf(exchange);
    const [stdout, stderr] = [exchange.flag('stdout'), exchange.flag('stderr')];
    if (!stdout && !stderr)
      throw new BoxshipError('invalidArgument', 'Bad parameters: you must choose at least one stream');
    readableLog(container);
    const tail = exchange.text('tail');
    const options = {
      stdout,
      stderr,
      isFramed: !container.record.config.Tty,
      isFollowing: exchange.flag('follow'),
      tail: /^\d+$/.test(tail) ? Number(tail) : undefined,
      since: parseInstant(exchange.text('since')),
      until: apiAtLeast(exchange.apiVersion, '1.35') ? parseInstant(exchange.text('until')) : undefined,
      hasTimestamps: exchange.flag('timestamps'),
      hasDetails: exchange.flag('details'),
      signal: exchange.signal,
    };
    const type = apiAtLeast(exchange.apiVersion, '1.42')
      ? streamType(container.record.config.Tty, exchange.apiVersion)
      : undefined;
    const stream = startStream(exchange, type);
    await writeLogs(parts, container, stream.raw, options);
    stream.end();
  });

  router.on('POST', '/containers/:id/wait', async (exchange) => {
    const container = containerOf(exchange);
    const hasCondition = apiAtLeast(exchange.apiVersion, '1.30');
    const condition = hasCondition ? parseWaitCondition(exchange.text('condition')) : 'not-running';
    if (!hasCondition) {
      const { exitCode } = await waitContainer(container, condition, exchange.signal);
      exchange.json({ StatusCode: exitCode });
      return;
    }
    // registered before the headers go: what the client does after them must not be missed
    const waiting = waitContainer(container, condition, exchange.signal);
    waiting.catch(() => {}); // awaited below
    const stream = startStream(exchange, 'application/json');
    try {
      const { exitCode, error } = await waiting;
      await stream.json({
        StatusCode: exitCode,
        ...(error === undefined || condition !== 'removed' ? {} : { Error: { Message: error } }),
      });
    } catch (error) {
      if (!exchange.signal.aborted) throw error;
    }
    stream.end();
  });

  router.on('GET', '/containers/:id/stats', async (exchange) => {
    const container = containerOf(exchange);
    const isStreaming = exchange.flag('stream', true);
    const isOneShot = exchange.flag('one-shot') && apiAtLeast(exchange.apiVersion, '1.41');
    if (isStreaming && isOneShot)
      throw new BoxshipError('invalidArgument', 'cannot have stream=true and one-shot=true');
    const first = await sampleStats(parts, container, undefined);
    if (!isStreaming) {
      if (isOneShot || !container.record.state.Running) return exchange.json(first);
      await sleep(statsPeriodMs, exchange.signal);
      return exchange.json(await sampleStats(parts, container, first));
    }
    const stream = startStream(exchange, 'application/json');
    const signal = AbortSignal.any([exchange.signal, parts.stopping]);
    for (let sample: ContainerStats = first; !signal.aborted; ) {
      await stream.json(sample);
      await sleep(statsPeriodMs, signal).catch(() => {}); // the loop's condition ends it
      if (signal.aborted || parts.containers.byId(container.id) === undefined) break;
      sample = await sampleStats(parts, container, sample);
    }
    stream.end();
  });
}
