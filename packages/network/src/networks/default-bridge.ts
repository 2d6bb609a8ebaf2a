/** The network `bridge`, made from the settings of the engine with the options that Docker shows. */
import { BoxshipError } from '@boxship/base';
import { findLink, listAddresses } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { AddressPool, NetworkSpec } from '../controller.ts';
import { optionKey } from '../drivers/bridge/options.ts';
import { gatewayKey } from '../ipam/addresses.ts';
import { formatPrefix, isInside, parsePrefix } from '../ipam/prefix.ts';
import { makeNetwork } from './create.ts';
import { takeBack } from './remove.ts';

export interface DefaultBridgeOptions {
  /** Name of the device; absent: `boxship0`, or the next number that is free. One that exists is used with its address. */
  readonly name?: string | undefined;
  /** There shall be none. */
  readonly isLeftOut?: boolean | undefined;
  /** Address of the bridge with the prefix length of its network; absent: from the default pools. */
  readonly bip?: string | undefined;
  /** Part of the network from which containers get their addresses; without `bip` also the network. */
  readonly fixedCidr?: string | undefined;
  /** Gateway of containers; absent: the bridge. */
  readonly gateway?: string | undefined;
  readonly enableIPv6?: boolean | undefined;
  /** The IPv6 network; absent: a unique local one. */
  readonly fixedCidrV6?: string | undefined;
  readonly gatewayV6?: string | undefined;
  /** Containers reach each other (default true). */
  readonly isIccEnabled?: boolean | undefined;
  /** Containers go out under the host's address (default true). */
  readonly isMasqueraded?: boolean | undefined;
  /** Host address of ports published without one (default `0.0.0.0`). */
  readonly hostBinding?: string | undefined;
  readonly mtu?: number | undefined;
}

/** The settings that the present default bridge was made from. */
const metaKey = 'defaultBridge';

/** Changed settings take effect when no container is joined any more, as the addresses of those would be wrong. */
export async function ensureDefaultBridge(context: Context, options: DefaultBridgeOptions): Promise<void> {
  const settings = JSON.stringify(options);
  const present = [...context.state.networks.values()].find(({ network }) => network.spec.name === 'bridge');
  if (present !== undefined) {
    if (settings === (context.store.meta(metaKey) ?? '{}')) return;
    if (context.state.membersOf(present.network.id).length > 0) {
      context.log.warn('new settings of the default bridge wait until no container uses it', { options });
      return;
    }
    await takeBack(context, { state: 'deleting', network: present.network });
  }
  if (options.isLeftOut !== true) await makeNetwork(context, specOf(context, options));
  context.store.setMeta(metaKey, settings);
}

function specOf(context: Context, options: DefaultBridgeOptions): NetworkSpec {
  return {
    name: 'bridge',
    driver: 'bridge',
    enableIPv6: options.enableIPv6 ?? false,
    pools: [ipv4Pool(context, options), ...(options.enableIPv6 === true ? [ipv6Pool(options)] : [])],
    options: {
      [optionKey.isDefault]: 'true',
      [optionKey.icc]: String(options.isIccEnabled ?? true),
      [optionKey.masquerade]: String(options.isMasqueraded ?? true),
      [optionKey.hostBinding]: options.hostBinding ?? '0.0.0.0',
      [optionKey.name]: options.name ?? freeName(context),
      [optionKey.mtu]: String(options.mtu ?? 1500),
    },
  };
}

function ipv4Pool(context: Context, options: DefaultBridgeOptions): AddressPool {
  const { fixedCidr, gateway } = options;
  const address = options.bip ?? addressOfDevice(context, options.name);
  const subnet = address ?? fixedCidr;
  return {
    ...(subnet === undefined ? {} : { subnet: formatPrefix(parsePrefix(subnet)) }),
    ...(address === undefined ? {} : { gateway: address.split('/')[0] ?? '' }),
    ...(fixedCidr === undefined ? {} : { ipRange: formatPrefix(parsePrefix(fixedCidr)) }),
    ...withGateway(4, gateway, subnet),
  };
}

function ipv6Pool({ fixedCidrV6, gatewayV6 }: DefaultBridgeOptions): AddressPool {
  return {
    ...(fixedCidrV6 === undefined ? {} : { subnet: formatPrefix(parsePrefix(fixedCidrV6)) }),
    ...withGateway(6, gatewayV6, fixedCidrV6),
  };
}

function withGateway(
  family: 4 | 6,
  gateway: string | undefined,
  subnet: string | undefined,
): Pick<AddressPool, 'auxAddresses'> {
  if (gateway === undefined) return {};
  if (subnet !== undefined && !isInside(gateway, parsePrefix(subnet)))
    throw new BoxshipError(
      'invalidArgument',
      `--default-gateway${family === 6 ? '-v6' : ''} ${gateway} is not in ${subnet}`,
    );
  return { auxAddresses: { [gatewayKey[family]]: gateway } };
}

/** A bridge that the user made is used with the address that the user gave it. */
function addressOfDevice(context: Context, name: string | undefined): string | undefined {
  const link = name === undefined ? undefined : findLink(context.route, name);
  if (link === undefined || link.alias?.startsWith('boxship:') === true) return undefined;
  const address = listAddresses(context.route, link.index).find((candidate) => !candidate.address.includes(':'));
  return address === undefined ? undefined : `${address.address}/${address.prefixLength}`;
}

function freeName(context: Context): string {
  for (let number = 0; number < 1000; number++) {
    const name = `boxship${number}`;
    if (findLink(context.route, name) === undefined) return name;
  }
  throw new BoxshipError('resourceExhausted', 'no free name for the default bridge: boxship0 to boxship999 exist');
}
