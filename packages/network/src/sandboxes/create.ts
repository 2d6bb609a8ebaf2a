/**
 * `createSandbox`: everything a container needs of the network in one call. Order: plan in memory, ports held, intent written,
 * kernel, rules last (a port answers only when its container can), then `ready`. Whatever fails takes all of it back.
 */

import { join } from 'node:path';
import { failPoint } from '@boxship/base';
import type { Context } from '../context.ts';
import type { EndpointSpec, Network, Sandbox, SandboxSpec } from '../controller.ts';
import { isNamed } from '../dns/names.ts';
import type { GivenAddresses } from '../ipam/addresses.ts';
import { releaseAddresses, requestAddresses } from '../ipam/remote.ts';
import type { EndpointRecord, SandboxRecord } from '../model.ts';
import { setDefaultRoutes } from './default-routes.ts';
import { planEndpoint } from './endpoint.ts';
import { tellLinked, writeFiles } from './files.ts';
import { gatewaysOf } from './gateway.ts';
import { joinNetwork, keepJoined } from './join.ts';
import { adoptNamespace, makeNamespace, type OpenSandbox, shareNamespace } from './namespace.ts';
import { directListeners, firewallPorts, holdLate, holdPorts } from './ports.ts';
import { takeBackSandbox } from './remove.ts';
import { validateSandbox } from './validate.ts';

export async function createSandbox(context: Context, spec: SandboxSpec): Promise<Sandbox> {
  return await context.mutex.run(`sandbox:${spec.id}`, async () => {
    const present = context.state.sandboxes.get(spec.id);
    if (present !== undefined) return toSandbox(present);
    const joined = validateSandbox(context, spec);
    let record = plan(context, spec, joined, await addressesFor(context, joined));
    // from here on the addresses are booked
    context.state.setSandbox(record);
    try {
      record = await holdPorts(context, record);
      context.state.setSandbox(record);
      context.store.saveSandbox(record);
      await failPoint('start.op-row');
      record = await holdLate(context, await build(context, record, joined));
      context.namespaceNames.learn(record.spec.id, record.namespacePath);
      await failPoint('start.veth-made');
      // ready in memory before the rules, so that a rebuild by another request keeps its ports
      record = { ...record, state: 'ready' };
      context.state.setSandbox(record);
      await publish(context, record);
      await failPoint('start.fw-applied');
      context.store.setSandboxReady(record);
      await failPoint('start.ready');
    } catch (error) {
      await takeBackSandbox(context, record);
      throw error;
    }
    return toSandbox(record);
  });
}

type Joined = readonly { endpoint: EndpointSpec; network: Network }[];

/** Asked for before anything is planned: planning is synchronous, so that no two plans choose one address. */
async function addressesFor(context: Context, joined: Joined): Promise<GivenAddresses[]> {
  const given: GivenAddresses[] = [];
  try {
    for (const { endpoint, network } of joined) given.push(await requestAddresses(context, network, endpoint));
  } catch (error) {
    await giveBack(context, joined, given);
    throw error;
  }
  return given;
}

async function giveBack(context: Context, joined: Joined, given: readonly GivenAddresses[]): Promise<void> {
  for (const [index, addresses] of given.entries())
    await releaseAddresses(context, {
      ...{ networkId: joined[index]?.network.id ?? '', ipv4Address: '', ipv6Address: '' },
      ...addresses,
    });
}

function plan(context: Context, spec: SandboxSpec, joined: Joined, given: readonly GivenAddresses[]): SandboxRecord {
  const endpoints: EndpointRecord[] = [];
  for (const [index, { endpoint, network }] of joined.entries())
    endpoints.push(planEndpoint(context, spec, network, endpoint, index, given[index]));
  return {
    state: 'creating',
    spec,
    bootId: context.bootId,
    namespacePath: join(context.namespaceDirectory, spec.id),
    endpoints,
    ports: [],
    hasResolver: endpoints.some(({ endpoint }) => isNamed(endpoint)),
    nextInterface: endpoints.length,
  };
}

/** Namespace, interfaces, routes, files: a few milliseconds, unless a foreign driver takes its time. */
async function build(context: Context, planned: SandboxRecord, joined: Joined): Promise<SandboxRecord> {
  using access = enter(context, planned, joined);
  const endpoints: EndpointRecord[] = [];
  for (const [index, { network }] of joined.entries()) {
    const endpoint = planned.endpoints[index];
    if (endpoint !== undefined) endpoints.push(await joinNetwork(context, network, endpoint, access));
  }
  const record = keepJoined(context, planned, endpoints);
  setDefaultRoutes(access, gatewaysOf(record));
  if (record.hasResolver === true) context.dns.start(record);
  writeFiles(context, record);
  for (const { endpoint } of record.endpoints) tellLinked(context, record, endpoint, 'here');
  return record;
}

function enter(context: Context, { spec, namespacePath }: SandboxRecord, joined: Joined): OpenSandbox {
  if (spec.joinNamespace !== undefined) return adoptNamespace(namespacePath, spec.joinNamespace);
  const isHost = spec.useHostNamespace === true || joined.some(({ network }) => network.spec.driver === 'host');
  return isHost ? shareNamespace(namespacePath) : makeNamespace(namespacePath, context.spares);
}

async function publish(context: Context, record: SandboxRecord): Promise<void> {
  directListeners(context, record);
  await context.firewall.move([], firewallPorts(context, record));
}

export function toSandbox(record: SandboxRecord): Sandbox {
  return {
    id: record.spec.id,
    namespacePath: record.namespacePath,
    endpoints: record.endpoints.map(({ endpoint }) => endpoint),
    ports: record.ports,
    spec: record.spec,
  };
}
