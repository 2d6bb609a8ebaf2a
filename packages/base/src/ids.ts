/** Identifiers as Docker and containerd shape them. */
import { randomBytes } from 'node:crypto';
import { BoxshipError } from './errors.ts';

/** 64 lower-case hex digits whose first 12 are not all decimal: a numeric short id would be a bad host name. */
export function randomId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (/[a-f]/.test(id.slice(0, 12))) return id;
  }
}

export const shortId = (id: string): string => id.slice(0, 12);

const identifier = /^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$/;

/** containerd's rule for namespaces, container, exec and lease ids. */
export function checkIdentifier(value: string): string {
  if (value.length === 0) throw new BoxshipError('invalidArgument', 'identifier must not be empty');
  if (value.length > 76)
    throw new BoxshipError('invalidArgument', `identifier "${value}" greater than maximum length (76 characters)`);
  if (!identifier.test(value))
    throw new BoxshipError('invalidArgument', `identifier "${value}" must match ${identifier.source}`);
  return value;
}
