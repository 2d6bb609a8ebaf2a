/** Capability sets: Docker's fourteen, minus drops, plus adds; never more than the engine itself holds. */
import { BoxshipError } from '@boxship/base';
import { capabilityNames } from '../../system/host-facts.ts';

const defaults = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

/** Upper case with `CAP_`, `ALL` kept, sorted. @throws invalidArgument naming the capability */
export function normalizeCapabilities(names: readonly string[], field: string): string[] {
  const known = new Set(capabilityNames);
  const normal = names.map((name) => {
    const upper = name.toUpperCase();
    if (upper === 'ALL') return upper;
    const full = upper.startsWith('CAP_') ? upper : `CAP_${upper}`;
    if (!known.has(full)) throw new BoxshipError('invalidArgument', `invalid ${field}: unknown capability: "${full}"`);
    return full;
  });
  return [...new Set(normal)].sort();
}

export interface CapabilityRequest {
  /** Normalised. */
  readonly add: readonly string[];
  readonly drop: readonly string[];
  readonly isPrivileged: boolean;
  /** What the engine holds. */
  readonly held: readonly string[];
}

/** The bounding set. */
export function capabilitySets(request: CapabilityRequest): string[] {
  const { add, drop, held } = request;
  if (request.isPrivileged) return [...held];
  const base = drop.includes('ALL')
    ? []
    : add.includes('ALL')
      ? [...held]
      : defaults.filter((name) => held.includes(name));
  const kept = base.filter((name) => !drop.includes(name));
  for (const name of add) if (name !== 'ALL' && !kept.includes(name)) kept.push(name);
  const missing = kept.find((name) => !held.includes(name));
  if (missing !== undefined)
    throw new BoxshipError(
      'invalidArgument',
      `capability ${missing} cannot be given: the engine does not hold it itself`,
    );
  return kept;
}
