/** An extra host of a sandbox (`--add-host`): a line of its `/etc/hosts` and a name in its DNS. */
import { isIP } from 'node:net';
import { BoxshipError } from '@boxship/base';

/** What may stand as a name in `/etc/hosts` without becoming something else there. */
export const hostsName = /^[^\s#:]+$/;

/** `name:address`. @throws invalidArgument with Docker's text */
export function parseExtraHost(entry: string): { name: string; address: string } {
  const at = entry.indexOf(':');
  const name = entry.slice(0, at);
  const address = entry.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  if (at < 1 || !hostsName.test(name)) throw new BoxshipError('invalidArgument', `bad format for add-host: "${entry}"`);
  if (address !== 'host-gateway' && isIP(address) === 0)
    throw new BoxshipError('invalidArgument', `invalid IP address in add-host: "${address}"`);
  return { name, address };
}
