/** Which daemon: `-H`, then `BOXSHIP_HOST`, `DOCKER_HOST`, then the socket of boxship, then Docker's. */
import { existsSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { defaultEngineHost } from '@boxship/engine-api';

const ownSocket = '/run/boxship/boxship.sock';

/** @throws invalidArgument when several hosts are named */
export function resolveHost(flags: readonly string[]): string {
  if (flags.length > 1) throw new BoxshipError('invalidArgument', 'specify only one -H');
  const [given] = flags;
  const named = given ?? process.env['BOXSHIP_HOST'] ?? process.env['DOCKER_HOST'];
  if (named !== undefined && named !== '') return named;
  return existsSync(ownSocket) ? `unix://${ownSocket}` : defaultEngineHost;
}
