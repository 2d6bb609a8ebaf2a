/** Which group a start belongs to, and at which socket the group's shim listens. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BoxshipError, checkIdentifier } from '@boxship/base';
import type { RuntimeSpec } from '@boxship/oci';

const groupAnnotations = ['io.containerd.runc.v2.group', 'io.kubernetes.cri.sandbox-id'];
/** Directories of warm shims are named so; no container's bundle begins with a dot. */
const GROUP_PREFIX = '.group-';
/** A warm shim that is a sandbox; the slash keeps its group apart from those that containers name. */
const SANDBOX_PREFIX = '.sandbox-';

export interface GroupIdentity {
  readonly groupId: string;
  /** A warm shim belongs to no container: it stays when the last one is gone. */
  readonly isWarm: boolean;
}

/** Reads the annotations of the bundle in `directory`; without a bundle the id is the group's name. */
export function identifyGroup(directory: string, id: string): GroupIdentity {
  if (basename(directory).startsWith(GROUP_PREFIX)) return { groupId: id, isWarm: true };
  if (basename(directory).startsWith(SANDBOX_PREFIX)) return { groupId: `sandbox/${id}`, isWarm: true };
  let text: string;
  try {
    text = readFileSync(join(directory, 'config.json'), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { groupId: id, isWarm: false };
    throw error;
  }
  // the bundle of a sandbox may hold any JSON
  const annotations = (JSON.parse(text) as RuntimeSpec | null)?.annotations ?? {};
  const named = groupAnnotations.map((key) => annotations[key]).find((value) => value !== undefined && value !== '');
  return { groupId: named === undefined ? id : checkIdentifier(named), isWarm: false };
}

export function socketDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const chosen = environment['BOXSHIP_SHIM_SOCKET_DIR'] ?? '';
  return chosen === '' ? '/run/boxship/s' : chosen;
}

/** Exists beside a socket at which gRPC is spoken; whoever finds the shim running must know. */
export const grpcMark = (path: string): string => `${path}.grpc`;

/** The path is a hash, as containerd's shims have it: names of any length fit into a socket address. */
export function socketPath(directory: string, containerdAddress: string, namespace: string, groupId: string): string {
  const name = createHash('sha256')
    .update(join(containerdAddress, namespace, groupId))
    .digest('hex');
  const path = join(directory, name);
  if (path.length > 106)
    throw new BoxshipError(
      'invalidArgument',
      `socket path ${path} is longer than 106 bytes: set BOXSHIP_SHIM_SOCKET_DIR to a shorter directory`,
    );
  return path;
}
