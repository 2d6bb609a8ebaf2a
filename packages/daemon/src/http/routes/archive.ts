/** `/containers/{id}/archive`, `/export` and `/changes`. */
import { BoxshipError } from '@boxship/base';
import { type ArchiveStat, exportContainer, readArchive, statArchive, writeArchive } from '../../containers/archive.ts';
import { containerChanges } from '../../containers/changes.ts';
import type { Parts } from '../../parts.ts';
import { commonHeaders, type Exchange } from '../exchange.ts';
import { hasRoom } from '../has-room.ts';
import type { Router } from '../server.ts';

const statHeader = 'X-Docker-Container-Path-Stat';
const encodeStat = (stat: ArchiveStat): string => Buffer.from(JSON.stringify(stat)).toString('base64');

export function archiveRoutes(router: Router, parts: Parts): void {
  const containerOf = (exchange: Exchange) => parts.containers.get(exchange.param('id'));
  const pathOf = (exchange: Exchange): string => {
    const path = exchange.text('path');
    if (path === '') throw new BoxshipError('invalidArgument', 'bad parameter: path cannot be empty');
    if (path.includes('\0')) throw new BoxshipError('invalidArgument', 'bad parameter: path holds a zero byte');
    return path.startsWith('/') ? path : `/${path}`;
  };

  router.on('HEAD', '/containers/:id/archive', async (exchange) => {
    const stat = await statArchive(parts, containerOf(exchange), exchange.param('id'), pathOf(exchange));
    exchange.reply.header(statHeader, encodeStat(stat));
    exchange.empty(200);
  });
  router.on('GET', '/containers/:id/archive', async (exchange) => {
    let found: ArchiveStat | undefined;
    const onStat = (stat: ArchiveStat) => {
      found = stat;
    };
    const { id, path } = { id: exchange.param('id'), path: pathOf(exchange) };
    const chunks = readArchive(parts, containerOf(exchange), id, path, onStat, exchange.signal);
    await sendTar(exchange, chunks, () => (found === undefined ? {} : { [statHeader]: encodeStat(found) }));
  });
  router.on('PUT', '/containers/:id/archive', async (exchange) => {
    await writeArchive(parts, containerOf(exchange), exchange.param('id'), pathOf(exchange), exchange.request.raw, {
      keepDirectories: exchange.flag('noOverwriteDirNonDir'),
      isOwnedByUser: exchange.flag('copyUIDGID'),
    });
    exchange.empty(200);
  });
  router.on('GET', '/containers/:id/export', (exchange) =>
    sendTar(exchange, exportContainer(parts, containerOf(exchange), exchange.signal), () => ({})),
  );
  router.on('GET', '/containers/:id/changes', async (exchange) =>
    exchange.json(await containerChanges(containerOf(exchange))),
  );
}

/** What fails before the first chunk gets a status of its own. */
export async function sendTar(
  exchange: Exchange,
  chunks: AsyncGenerator<Uint8Array>,
  headers: () => Record<string, string>,
): Promise<void> {
  let next = await chunks.next();
  exchange.reply.hijack();
  const { raw } = exchange.reply;
  raw.writeHead(200, { ...commonHeaders(), ...headers(), 'Content-Type': 'application/x-tar' });
  raw.on('error', () => raw.destroy()); // the client is gone; the exchange's signal ends the source
  try {
    for (; next.done !== true && !raw.destroyed; next = await chunks.next())
      if (!raw.write(next.value)) await hasRoom(raw);
  } finally {
    await chunks.return(undefined);
  }
  raw.end();
}
