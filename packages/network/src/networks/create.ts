/** `createNetwork`: checks, pools, record, kernel. */
import { BoxshipError, failPoint, randomId } from '@boxship/base';
import { clusterOf } from '../cluster/lookup.ts';
import type { Context } from '../context.ts';
import type { AddressPool, Network, NetworkSpec } from '../controller.ts';
import { optionKey } from '../drivers/bridge/options.ts';
import { driverNamed } from '../drivers/lookup.ts';
import { releasePools, requestPools } from '../ipam/remote.ts';
import type { NetworkRecord } from '../model.ts';
import { completeSpec } from '../network-spec.ts';
import { resolvePools } from './pools.ts';

const reservedNames = new Set(['bridge', 'host', 'none', 'default']);

export async function createNetwork(context: Context, spec: NetworkSpec): Promise<Network> {
  checkName(spec.name);
  if (reservedNames.has(spec.name))
    throw new BoxshipError('permissionDenied', `operation is not permitted on predefined ${spec.name} network`);
  return await context.mutex.run('networks', () => makeNetwork(context, configured(context, spec)));
}

/** The same without the check for reserved names: the predefined networks are made through it. */
export async function makeNetwork(context: Context, asked: NetworkSpec, id = randomId()): Promise<Network> {
  // a configuration network is nothing in the kernel, whatever driver will use it
  const spec = asked.isConfigOnly === true ? { ...asked, driver: 'null' } : asked;
  for (const { network } of context.state.networks.values())
    if (network.spec.name === spec.name)
      throw new BoxshipError('conflict', `network with name ${spec.name} already exists`, {
        details: { id: network.id },
      });
  const driver = driverNamed(context, spec.driver);
  driver.validate(spec);
  if ((spec.driver === 'host' || spec.driver === 'null') && !reservedNames.has(spec.name) && !spec.isConfigOnly)
    throw new BoxshipError('permissionDenied', `only one instance of "${spec.driver}" network is allowed`);
  if (driver.hasInterfaces && spec.enableIPv4 === false && spec.enableIPv6 !== true)
    throw new BoxshipError('invalidArgument', 'IPv4 or IPv6 must be enabled');
  const hasKernelSide = driver.hasInterfaces && spec.isConfigOnly !== true;
  const isShared = hasKernelSide && driver.isShared === true;
  const hasOwnPools = hasKernelSide && !driver.assignsAddresses && !isShared;
  const draft: Network = {
    id,
    created: nowWithNanoseconds(),
    spec: {
      ...completeSpec(spec),
      options: driver.fillOptions(id, spec.options ?? {}),
      pools: hasOwnPools ? await poolsOf(context, id, spec) : [...(spec.pools ?? [])],
    },
  };
  checkDevice(context, draft);
  if (isShared) return await makeShared(context, draft, spec);
  await establish(context, { state: 'creating', network: draft }, hasKernelSide);
  return draft;
}

/** In the cluster first: from then on every engine of it makes the network its own, this one after a crash, too. */
async function makeShared(context: Context, draft: Network, spec: NetworkSpec): Promise<Network> {
  const cluster = clusterOf(context);
  const network = await cluster.define(draft, spec);
  await failPoint('net.defined');
  try {
    await establish(context, { state: 'creating', network }, true);
  } catch (error) {
    await cluster.forget(network);
    throw error;
  }
  return network;
}

/** From the plugin named, else ours. */
const poolsOf = async (context: Context, id: string, spec: NetworkSpec): Promise<AddressPool[]> =>
  (await requestPools(context, id, spec)) ?? resolvePools(context, spec);

/** Two networks on one device would be one. @throws permissionDenied with Docker's text */
function checkDevice(context: Context, { id, spec }: Network): void {
  const name = spec.options[optionKey.name];
  if (name === undefined) return;
  for (const { network } of context.state.networks.values())
    if (network.spec.options[optionKey.name] === name && !network.spec.isConfigOnly)
      throw new BoxshipError(
        'permissionDenied',
        `cannot create network ${id} (${name}): conflicts with network ${network.id} (${name}): networks have same bridge name`,
      );
}

/** A network that takes its settings from a configuration network. @throws notFound, invalidArgument, Docker's texts */
function configured(context: Context, spec: NetworkSpec): NetworkSpec {
  const name = spec.configFrom ?? '';
  if (name === '') return spec;
  const config = [...context.state.networks.values()].find(({ network }) => network.spec.name === name)?.network.spec;
  if (config?.isConfigOnly !== true)
    throw new BoxshipError('notFound', `configuration network ${JSON.stringify(name)} does not exist`);
  if ((spec.pools ?? []).length > 0 || Object.keys(spec.options ?? {}).length > 0)
    throw new BoxshipError(
      'permissionDenied',
      'user specified configurations are not supported if the network depends on a configuration network',
    );
  const { pools, options, enableIPv4, enableIPv6, ipamOptions, isInternal } = config;
  return {
    ...spec,
    pools,
    options,
    enableIPv4,
    enableIPv6,
    ipamOptions,
    isInternal: spec.isInternal === true || isInternal,
    labels: { ...config.labels, ...spec.labels },
  };
}

/** Makes a network in kernel and records; on failure nothing of it is left. */
export async function establish(context: Context, record: NetworkRecord, hasKernelSide: boolean): Promise<void> {
  const { network } = record;
  context.store.saveNetwork(record);
  context.state.networks.set(network.id, record);
  try {
    await failPoint('net.row');
    if (hasKernelSide) {
      if (network.spec.enableIPv6) context.forwardIPv6();
      await driverNamed(context, network.spec.driver).assert(network);
      await failPoint('net.bridge-made');
      await context.firewall.rebuild();
      await failPoint('net.fw-table');
    }
    const ready: NetworkRecord = { state: 'ready', network };
    context.store.saveNetwork(ready);
    context.state.networks.set(network.id, ready);
  } catch (error) {
    context.state.networks.delete(network.id);
    await driverNamed(context, network.spec.driver).remove(network);
    await releasePools(context, network);
    if (hasKernelSide) await context.firewall.rebuild();
    context.store.deleteNetwork(network.id);
    throw error;
  }
  await failPoint('net.committed');
}

function checkName(name: string): void {
  // Docker takes any name; ours reaches file names and URLs of the API
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) || name.length > 253)
    throw new BoxshipError(
      'invalidArgument',
      `invalid network name "${name}": letters, digits, "_", ".", "-" after a first letter or digit`,
    );
}

/** RFC 3339 in UTC. The clock gives microseconds; Go prints nine digits. */
function nowWithNanoseconds(): string {
  const ms = performance.timeOrigin + performance.now();
  const micros = Math.floor((ms % 1) * 1000);
  return new Date(ms).toISOString().replace('Z', `${String(micros).padStart(3, '0')}000Z`);
}
