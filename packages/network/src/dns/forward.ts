/**
 * Passing a query on: the servers are asked in their order, the next one as soon as the one before fails or is silent for a
 * second; the first good answer counts. Clients give up after five seconds: they get an error before.
 */

import { ask, type Transport, type Upstream } from './exchange.ts';
import { type Query, responseCode, responseCodeOf } from './message.ts';

const patienceMs = 1000;
const deadlineMs = 4500;
/** As many as the C library reads from resolv.conf. */
const maxServers = 3;

/** undefined: no server gave an answer of any kind in time. */
export async function forward(
  query: Query,
  transport: Transport,
  upstreams: readonly Upstream[],
): Promise<Buffer | undefined> {
  const servers = upstreams.slice(0, maxServers);
  const over = new AbortController();
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  let asked = 0;
  let failed = 0;
  let poor: Buffer | undefined;
  let patience: NodeJS.Timeout | undefined;
  const fail = (): void => {
    failed += 1;
    if (failed === servers.length) resolve(poor);
    else if (failed === asked) next();
  };
  const next = (): void => {
    clearTimeout(patience);
    const server = servers[asked];
    if (server === undefined) return;
    asked += 1;
    patience = setTimeout(next, patienceMs);
    ask(query, server, transport, over.signal).then((answer) => {
      if (isGood(answer)) return resolve(answer);
      poor ??= answer;
      fail();
    }, fail);
  };
  const deadline = setTimeout(() => resolve(poor), deadlineMs);
  if (servers.length === 0) resolve(undefined);
  next();
  try {
    return await promise;
  } finally {
    clearTimeout(deadline);
    clearTimeout(patience);
    over.abort();
  }
}

/** A server that cannot or will not is no reason not to ask the next. */
const isGood = (answer: Buffer): boolean =>
  responseCodeOf(answer) !== responseCode.serverFailure && responseCodeOf(answer) !== responseCode.refused;
