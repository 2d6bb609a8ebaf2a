/** The command line of `boxship-networkd`, parsed once into typed options. */
import { parseArgs } from 'node:util';
import { BoxshipError, type LogLevel } from '@boxship/base';
import type { ControllerOptions } from './create-controller.ts';
import type { DefaultAddressPool } from './ipam/pools.ts';

export interface NetworkdFlags {
  readonly address: string;
  readonly root: string;
  readonly execRoot: string;
  readonly instance: string;
  readonly bip: string | undefined;
  readonly bridge: string | undefined;
  readonly mtu: number | undefined;
  readonly defaultAddressPools: readonly DefaultAddressPool[] | undefined;
  readonly logLevel: LogLevel;
  readonly isPurge: boolean;
}

export const usage = `Usage: boxship-networkd [options]
  --address PATH               unix socket to serve on (default /run/boxship/network.sock)
  --root DIR                   state that survives reboots (default /var/lib/boxship/network)
  --exec-root DIR              state of this boot: namespaces (default /run/boxship/network)
  --instance ID                marks kernel objects as this engine's (default "default")
  --bip CIDR                   address and network of the default bridge
  --bridge NAME                device of the default bridge (default boxship0, or the next free)
  --default-address-pool SPEC  base=CIDR,size=N; may be repeated
  --mtu N                      MTU of networks that name none (default 1500)
  --purge                      take everything of this instance out of the kernel, then end
  --log-level LEVEL            debug, info, warn, error (default info)
`;

const levels = ['debug', 'info', 'warn', 'error', 'fatal'] as const;

/** @throws invalidArgument naming the flag */
export function parseFlags(argv: readonly string[]): NetworkdFlags {
  let values: Record<string, string | boolean | string[] | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        address: { type: 'string', default: '/run/boxship/network.sock' },
        root: { type: 'string', default: '/var/lib/boxship/network' },
        'exec-root': { type: 'string', default: '/run/boxship/network' },
        instance: { type: 'string', default: 'default' },
        bip: { type: 'string' },
        bridge: { type: 'string' },
        'default-address-pool': { type: 'string', multiple: true },
        mtu: { type: 'string' },
        'log-level': { type: 'string', default: 'info' },
        purge: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new BoxshipError('invalidArgument', (error as Error).message, { cause: error });
  }
  const text = (name: string): string => String(values[name] ?? '');
  const mtu = values['mtu'] === undefined ? undefined : Number(values['mtu']);
  if (mtu !== undefined && (!Number.isInteger(mtu) || mtu < 68 || mtu > 65_535))
    throw new BoxshipError('invalidArgument', `--mtu ${text('mtu')}: a number from 68 to 65535 is needed`);
  const logLevel = levels.find((level) => level === text('log-level'));
  if (logLevel === undefined)
    throw new BoxshipError('invalidArgument', `--log-level ${text('log-level')}: one of ${levels.join(', ')}`);
  const pools = values['default-address-pool'] as string[] | undefined;
  return {
    address: text('address'),
    root: text('root'),
    execRoot: text('exec-root'),
    instance: text('instance'),
    bip: values['bip'] as string | undefined,
    bridge: values['bridge'] as string | undefined,
    mtu,
    defaultAddressPools: pools?.map(parsePool),
    logLevel,
    isPurge: values['purge'] === true,
  };
}

/** What the flags say to a controller, in whichever process it runs. */
export function controllerOptions(flags: NetworkdFlags): ControllerOptions {
  return {
    stateDir: flags.root,
    runDir: flags.execRoot,
    instanceId: flags.instance,
    defaultBridge: {
      ...(flags.bridge === undefined ? {} : { name: flags.bridge }),
      ...(flags.bip === undefined ? {} : { bip: flags.bip }),
      ...(flags.mtu === undefined ? {} : { mtu: flags.mtu }),
    },
    ...(flags.defaultAddressPools === undefined ? {} : { defaultAddressPools: flags.defaultAddressPools }),
  };
}

/** Docker's notation `base=10.0.0.0/8,size=24`. */
function parsePool(text: string): DefaultAddressPool {
  const pairs = new Map(text.split(',').map((pair) => pair.split('=', 2) as [string, string]));
  const base = pairs.get('base');
  const size = Number(pairs.get('size'));
  if (base === undefined || !Number.isInteger(size) || pairs.size !== 2)
    throw new BoxshipError('invalidArgument', `--default-address-pool ${text}: base=CIDR,size=N is needed`);
  return { base, size };
}
