/** `connect` and `disconnect`: endpoints of a sandbox that lives. Its container is not paused; streams on other networks go on. */
import { BoxshipError, failPoint } from '@boxship/base';
import type { Context } from '../context.ts';
import type { Endpoint, EndpointSpec, Network } from '../controller.ts';
import { isNamed } from '../dns/names.ts';
import { driverNamed } from '../drivers/lookup.ts';
import { releaseAddresses, requestAddresses } from '../ipam/remote.ts';
import type { EndpointRecord, SandboxRecord } from '../model.ts';
import { setDefaultRoutes } from './default-routes.ts';
import { planEndpoint } from './endpoint.ts';
import { changeOwnFile, tellLinked, writeResolverFile } from './files.ts';
import { areSame, gatewaysOf } from './gateway.ts';
import { joinNetwork, keepJoined } from './join.ts';
import { openNamespace } from './namespace.ts';
import { directListeners, firewallPorts, holdLate, holdPorts } from './ports.ts';
import { validateCombination, validateEndpoint } from './validate.ts';

/** @throws notFound, permissionDenied, invalidArgument with Docker's texts */
export async function connect(context: Context, sandboxId: string, spec: EndpointSpec): Promise<Endpoint> {
  return await context.mutex.run(`sandbox:${sandboxId}`, async () => {
    const before = context.state.sandbox(sandboxId);
    const network = context.state.network(spec.network);
    if (before.endpoints.some(({ endpoint }) => endpoint.networkId === network.id))
      throw new BoxshipError(
        'permissionDenied',
        `endpoint with name ${before.spec.containerName} already exists in network ${network.spec.name}`,
      );
    validateEndpoint(spec, network);
    const others = before.endpoints.flatMap(
      ({ endpoint }) => context.state.networks.get(endpoint.networkId)?.network ?? [],
    );
    validateCombination([...others, network]);
    const given = await requestAddresses(context, network, spec);
    const added = planEndpoint(context, before.spec, network, spec, before.nextInterface, given);
    const planned: SandboxRecord = {
      ...before,
      endpoints: [...before.endpoints, added],
      hasResolver: before.hasResolver === true || isNamed(added.endpoint),
      nextInterface: before.nextInterface + 1,
    };
    // books the address while the ports are waited for
    context.state.setSandbox(planned);
    let after = planned;
    const joined = (record: SandboxRecord): EndpointRecord =>
      record.endpoints.find(({ endpoint }) => endpoint.id === added.endpoint.id) ?? added;
    try {
      after = await holdPorts(context, planned);
    } catch (error) {
      context.state.setSandbox(before);
      await releaseAddresses(context, added.endpoint);
      throw error;
    }
    // an endpoint in the record without its link is taken out at the next start
    context.store.saveSandbox(after);
    context.state.setSandbox(after);
    await failPoint('ep.row');
    try {
      after = await holdLate(context, await joinSandbox(context, network, added, after));
      await failPoint('ep.veth');
      await moveGateway(context, before, after);
      if (after.hasResolver === true && !context.dns.has(sandboxId)) {
        context.dns.start(after);
        writeResolverFile(after);
      }
      changeOwnFile(after, joined(after).endpoint, 'here');
      tellLinked(context, after, joined(after).endpoint, 'here');
    } catch (error) {
      await part(context, after, joined(after));
      throw error;
    }
    return joined(after).endpoint;
  });
}

/** @throws notFound, invalidArgument with Docker's texts; `force` makes both successes */
export async function disconnect(
  context: Context,
  sandboxId: string,
  idOrName: string,
  isForced: boolean,
): Promise<void> {
  await context.mutex.run(`sandbox:${sandboxId}`, async () => {
    const record = context.state.sandbox(sandboxId);
    const network = context.state.network(idOrName);
    if (network.spec.driver === 'host')
      throw new BoxshipError(
        'invalidArgument',
        'container cannot be disconnected from host network or connected to host network',
      );
    const member = record.endpoints.find(({ endpoint }) => endpoint.networkId === network.id);
    if (member !== undefined) await part(context, record, member);
    else if (!isForced)
      throw new BoxshipError(
        'permissionDenied',
        `container ${sandboxId} is not connected to network ${network.spec.name}`,
      );
  });
}

async function part(context: Context, before: SandboxRecord, member: EndpointRecord): Promise<void> {
  const { endpoint } = member;
  const after: SandboxRecord = { ...before, endpoints: before.endpoints.filter((other) => other !== member) };
  const network = context.state.networks.get(endpoint.networkId)?.network;
  context.state.names.remove(endpoint);
  await moveGateway(context, before, after);
  // the link goes before its address is free for others; a crash in between leaves a link that the next start removes
  if (network !== undefined) await driverNamed(context, network.spec.driver).leave(network, member, before);
  await failPoint('ep.parted');
  changeOwnFile(before, endpoint, 'gone');
  tellLinked(context, before, endpoint, 'gone');
  context.store.saveSandbox(after);
  context.state.setSandbox(after);
  await releaseAddresses(context, endpoint);
}

async function joinSandbox(
  context: Context,
  network: Network,
  added: EndpointRecord,
  record: SandboxRecord,
): Promise<SandboxRecord> {
  using access = openNamespace(record.namespacePath);
  const joined = await joinNetwork(context, network, added, access);
  return keepJoined(
    context,
    record,
    record.endpoints.map((member) => (member === added ? joined : member)),
  );
}

/** When another endpoint becomes the gateway, the default route and the published ports go with it. */
async function moveGateway(context: Context, before: SandboxRecord, after: SandboxRecord): Promise<void> {
  const now = gatewaysOf(after);
  if (areSame(gatewaysOf(before), now)) return;
  await context.firewall.move(firewallPorts(context, before), firewallPorts(context, after));
  directListeners(context, after);
  using access = openNamespace(after.namespacePath);
  setDefaultRoutes(access, now);
}
