/** The networks that are always there: `bridge`, `host`, `none`, with Docker's options. */
import { BoxshipError } from '@boxship/base';
import { findLink } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { NetworkSpec } from '../controller.ts';
import { optionKey } from '../drivers/bridge/options.ts';
import { formatPrefix, parsePrefix } from '../ipam/prefix.ts';
import { makeNetwork } from './create.ts';
import { takeBack } from './remove.ts';

export interface DefaultBridgeOptions {
  /** Name of the device; absent: `boxship0`, or the next number that is free. */
  readonly name?: string;
  /** Address of the bridge with the prefix length of its network; absent: from the default pools. */
  readonly bip?: string;
  readonly mtu?: number;
}

export async function ensurePredefined(context: Context, options: DefaultBridgeOptions): Promise<void> {
  await ensure(context, { name: 'none', driver: 'null' });
  await ensure(context, { name: 'host', driver: 'host' });
  await ensureDefaultBridge(context, options);
}

async function ensure(context: Context, spec: NetworkSpec): Promise<void> {
  for (const { network } of context.state.networks.values()) if (network.spec.name === spec.name) return;
  await makeNetwork(context, spec);
}

/** A changed `bip` takes effect when no container is joined any more, as the addresses of those would be wrong. */
async function ensureDefaultBridge(context: Context, options: DefaultBridgeOptions): Promise<void> {
  const present = [...context.state.networks.values()].find(({ network }) => network.spec.name === 'bridge');
  if (present !== undefined) {
    const wanted = options.bip === undefined ? undefined : poolOf(options.bip);
    const pool = present.network.spec.pools[0];
    const isSame =
      (wanted === undefined || (wanted.subnet === pool?.subnet && wanted.gateway === pool.gateway)) &&
      (options.name === undefined || options.name === present.network.spec.options[optionKey.name]) &&
      (options.mtu === undefined || String(options.mtu) === present.network.spec.options[optionKey.mtu]);
    if (isSame) return;
    if (context.state.membersOf(present.network.id).length > 0) {
      context.log.warn('new settings of the default bridge wait until no container uses it', { options });
      return;
    }
    await takeBack(context, { state: 'deleting', network: present.network });
  }
  await makeNetwork(context, {
    name: 'bridge',
    driver: 'bridge',
    ...(options.bip === undefined ? {} : { pools: [poolOf(options.bip)] }),
    options: {
      [optionKey.isDefault]: 'true',
      [optionKey.icc]: 'true',
      [optionKey.masquerade]: 'true',
      [optionKey.hostBinding]: '0.0.0.0',
      [optionKey.name]: options.name ?? freeName(context),
      [optionKey.mtu]: String(options.mtu ?? 1500),
    },
  });
}

function freeName(context: Context): string {
  for (let number = 0; number < 1000; number++) {
    const name = `boxship${number}`;
    if (findLink(context.route, name) === undefined) return name;
  }
  throw new BoxshipError('resourceExhausted', 'no free name for the default bridge: boxship0 to boxship999 exist');
}

function poolOf(bip: string): { subnet: string; gateway: string } {
  const subnet = formatPrefix(parsePrefix(bip));
  return { subnet, gateway: bip.split('/')[0] ?? '' };
}
