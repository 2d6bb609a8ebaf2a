/** The networks that are always there: `bridge`, `host`, `none`. */
import type { Context } from '../context.ts';
import type { NetworkSpec } from '../controller.ts';
import { makeNetwork } from './create.ts';
import { type DefaultBridgeOptions, ensureDefaultBridge } from './default-bridge.ts';

export async function ensurePredefined(context: Context, options: DefaultBridgeOptions): Promise<void> {
  await ensure(context, { name: 'none', driver: 'null' });
  await ensure(context, { name: 'host', driver: 'host' });
  await ensureDefaultBridge(context, options);
}

async function ensure(context: Context, spec: NetworkSpec): Promise<void> {
  for (const { network } of context.state.networks.values()) if (network.spec.name === spec.name) return;
  await makeNetwork(context, spec);
}
