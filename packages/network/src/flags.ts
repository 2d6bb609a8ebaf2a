/** The command line of `boxship-networkd`, parsed once into typed options. */
import { delimiter } from 'node:path';
import { parseArgs } from 'node:util';
import { BoxshipError, type LogLevel } from '@boxship/base';
import { type ClusterSettings, clusterFlags, clusterSettings, clusterUsage } from './cluster/settings.ts';
import type { ControllerOptions } from './create-controller.ts';
import { firewallFlags, firewallSettings, firewallUsage } from './firewall/flags.ts';
import type { FirewallSettings } from './firewall/open.ts';
import type { DefaultAddressPool } from './ipam/pools.ts';
import type { DefaultBridgeOptions } from './networks/default-bridge.ts';

export interface NetworkdFlags {
  readonly address: string;
  readonly root: string;
  readonly execRoot: string;
  readonly instance: string;
  readonly defaultBridge: DefaultBridgeOptions;
  readonly hostGateway: string | undefined;
  readonly isForwarding: boolean;
  readonly defaultAddressPools: readonly DefaultAddressPool[] | undefined;
  readonly firewall: FirewallSettings;
  /** undefined: no cluster. */
  readonly cluster: ClusterSettings | undefined;
  /** Where other engines are served as by a plugin of theirs; undefined: they are not. */
  readonly pluginSocket: string | undefined;
  readonly pluginDirectories: readonly string[] | undefined;
  readonly logLevel: LogLevel;
  readonly isPurge: boolean;
}

export const usage = `Usage: boxship-networkd [options]
  --address PATH               unix socket to serve on (default /run/boxship/network.sock): gRPC; ttrpc at PATH.ttrpc
  --root DIR                   state that survives reboots (default /var/lib/boxship/network)
  --exec-root DIR              state of this boot: namespaces (default /run/boxship/network)
  --instance ID                marks kernel objects as this engine's (default "default")
  --default-address-pool SPEC  base=CIDR,size=N; may be repeated
  --host-gateway-ip ADDRESS    what "host-gateway" stands for (default: the address of the default bridge)
  --ip-forward BOOL            turn the host's packet forwarding on (default true)
  --mtu N                      MTU of networks that name none (default 1500)
 of the default bridge:
  --bridge NAME                its device (default boxship0, or the next free); "none": no default bridge
  --bip CIDR                   its address and network
  --fixed-cidr CIDR            where the addresses of containers are taken from
  --default-gateway ADDRESS    gateway of containers (default: the bridge)
  --ipv6 BOOL                  IPv6, too (default false)
  --fixed-cidr-v6 CIDR         its IPv6 network
  --default-gateway-v6 ADDRESS IPv6 gateway of containers
  --icc BOOL                   containers reach each other (default true)
  --ip ADDRESS                 host address of ports published without one (default 0.0.0.0)
  --ip-masq BOOL               containers go out under the host's address (default true)
${firewallUsage}${clusterUsage} of other programs:
  --plugin-path DIRS           where plugins of Docker's are looked for, with ":" between (default: where Docker looks)
  --plugin-socket PATH         serve other engines there as their plugin, e.g. /run/docker/plugins/boxship.sock
  --purge                      take everything of this instance out of the kernel, then end
  --log-level LEVEL            debug, info, warn, error (default info)
`;

const texts = [
  'bip', 'bridge', 'mtu', 'fixed-cidr', 'fixed-cidr-v6', 'default-gateway', 'default-gateway-v6', 'host-gateway-ip', 'ip', 'plugin-path', 'plugin-socket',
]; // biome-ignore format: a list
const switches = ['icc', 'ip-forward', 'ip-masq', 'ipv6'];

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
        ...Object.fromEntries(
          [...texts, ...switches, ...firewallFlags.texts, ...firewallFlags.switches, ...clusterFlags.texts].map(
            (name) => [name, { type: 'string' as const }],
          ),
        ),
        'default-address-pool': { type: 'string', multiple: true },
        ...Object.fromEntries(clusterFlags.lists.map((name) => [name, { type: 'string' as const, multiple: true }])),
        'log-level': { type: 'string', default: 'info' },
        purge: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new BoxshipError('invalidArgument', (error as Error).message, { cause: error });
  }
  const text = (name: string): string => String(values[name] ?? '');
  const given = (name: string): string | undefined => values[name] as string | undefined;
  const isOn = (name: string): boolean | undefined => {
    const value = given(name);
    if (value === undefined) return undefined;
    if (/^(1|t|true|0|f|false)$/i.test(value)) return /^[1t]/i.test(value);
    throw new BoxshipError('invalidArgument', `--${name} ${value}: true or false is needed`);
  };
  const mtu = given('mtu') === undefined ? undefined : Number(given('mtu'));
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
    defaultBridge: {
      name: given('bridge') === 'none' ? undefined : given('bridge'),
      isLeftOut: given('bridge') === 'none' || undefined,
      bip: given('bip'),
      mtu,
      fixedCidr: given('fixed-cidr'),
      gateway: given('default-gateway'),
      enableIPv6: isOn('ipv6'),
      fixedCidrV6: given('fixed-cidr-v6'),
      gatewayV6: given('default-gateway-v6'),
      isIccEnabled: isOn('icc'),
      isMasqueraded: isOn('ip-masq'),
      hostBinding: given('ip'),
    },
    hostGateway: given('host-gateway-ip'),
    isForwarding: isOn('ip-forward') ?? true,
    defaultAddressPools: pools?.map(parsePool),
    firewall: firewallSettings(given, isOn),
    cluster: clusterSettings(given, (values['cluster-store-opt'] as string[] | undefined) ?? []),
    pluginSocket: given('plugin-socket'),
    pluginDirectories: given('plugin-path')?.split(delimiter),
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
    defaultBridge: flags.defaultBridge,
    isForwarding: flags.isForwarding,
    firewall: flags.firewall,
    ...(flags.cluster === undefined ? {} : { cluster: flags.cluster }),
    ...(flags.pluginDirectories === undefined ? {} : { pluginDirectories: flags.pluginDirectories }),
    ...(flags.hostGateway === undefined ? {} : { hostGateway: flags.hostGateway }),
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
