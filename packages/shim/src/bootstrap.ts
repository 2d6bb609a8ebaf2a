/**
 * The words that containerd and the action `start` exchange on stdin and stdout, in three generations: 1.6 gives the runtime's
 * options and reads a plain address; 1.7 says MAX_SHIM_VERSION and reads JSON; 2.3 gives BootstrapParams and reads a
 * BootstrapResult.
 */
import { readFileSync } from 'node:fs';
import { bootstrap } from '@boxship/api';
import { BoxshipError } from '@boxship/base';

export type Protocol = 'ttrpc' | 'grpc';

const NEWEST_VERSION = 3;

/** Params of a containerd from 2.3 on. Options of an older one begin with a text field too: only the id tells them apart. */
export function readParams(id: string, input: Uint8Array): bootstrap.BootstrapParams | undefined {
  try {
    const params = bootstrap.BootstrapParams.decode(input);
    return params.instanceId === id ? params : undefined;
  } catch {
    return undefined; // options whose second field is no text
  }
}

/** Standard input to its end; nothing when a person types there. */
export function readInput(): Uint8Array {
  if (process.stdin.isTTY) return new Uint8Array(0);
  try {
    return readFileSync(0);
  } catch {
    return new Uint8Array(0); // closed
  }
}

/** Which protocol the shim is to serve, by its environment. */
export function wantedProtocol(environment: NodeJS.ProcessEnv = process.env): Protocol {
  const name = environment['BOXSHIP_SHIM_PROTOCOL'] ?? '';
  if (name === '' || name === 'ttrpc') return 'ttrpc';
  if (name === 'grpc') return 'grpc';
  throw new BoxshipError('invalidArgument', `BOXSHIP_SHIM_PROTOCOL=${name}: want ttrpc or grpc`);
}

export interface Answer {
  readonly address: string;
  readonly protocol: Protocol;
  readonly params: bootstrap.BootstrapParams | undefined;
  readonly environment: NodeJS.ProcessEnv;
}

/** What goes to standard output. @throws failedPrecondition when that containerd cannot be told the protocol */
export function encodeAnswer({ address, protocol, params, environment }: Answer): string | Uint8Array {
  if (params !== undefined)
    return bootstrap.BootstrapResult.encode({
      version: NEWEST_VERSION,
      address,
      protocol,
      capabilities: [],
      metadata: {},
    }).finish();
  const maxVersion = Number(environment['MAX_SHIM_VERSION'] ?? 0);
  if (maxVersion >= 2) return JSON.stringify({ version: Math.min(maxVersion, NEWEST_VERSION), address, protocol });
  if (protocol !== 'ttrpc')
    throw new BoxshipError('failedPrecondition', `this containerd speaks ttrpc only, and the shim serves ${protocol}`);
  return address;
}
