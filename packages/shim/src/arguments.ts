/** The command line of a shim (containerd's shim v2): Go flags, then the action. Parsed once, here. */
import { BoxshipError, checkIdentifier } from '@boxship/base';

export type Action = 'start' | 'delete' | 'serve' | 'info' | 'version';

export interface ShimArguments {
  readonly action: Action;
  readonly namespace: string;
  /** Container id, or the name of a group for a warm shim. */
  readonly id: string;
  /** containerd's gRPC socket. */
  readonly address: string;
  readonly bundle: string;
  readonly isDebug: boolean;
}

const withValue = ['namespace', 'address', 'publish-binary', 'id', 'bundle', 'socket'];
const switches = ['debug', 'info', 'v'];

/** @throws invalidArgument naming the flag */
export function parseArguments(argv: readonly string[]): ShimArguments {
  const values = new Map<string, string>();
  let action: string | undefined;
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? '';
    const match = /^--?([a-z-]+)(?:=(.*))?$/s.exec(argument);
    if (match === null) {
      action = argument;
      continue;
    }
    const [, name = '', inline] = match;
    if (switches.includes(name)) values.set(name, inline ?? 'true');
    else if (withValue.includes(name)) values.set(name, inline ?? argv[++i] ?? '');
    else throw new BoxshipError('invalidArgument', `flag provided but not defined: -${name}`);
  }
  const value = (name: string) => values.get(name) ?? '';
  const kind = value('v') === 'true' ? 'version' : value('info') === 'true' ? 'info' : action;
  if (kind === 'info' || kind === 'version') return { ...empty, action: kind };
  if (kind !== 'start' && kind !== 'delete' && kind !== 'serve')
    throw new BoxshipError('invalidArgument', `action ${JSON.stringify(action ?? '')}: want start, delete or serve`);
  return {
    action: kind,
    namespace: checkIdentifier(value('namespace')),
    id: checkIdentifier(value('id')),
    address: value('address'),
    bundle: value('bundle'),
    isDebug: value('debug') === 'true',
  };
}

const empty = { namespace: '', id: '', address: '', bundle: '', isDebug: false } as const;
