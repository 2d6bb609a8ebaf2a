/**
 * Start = recovery: makes the kernel equal to the records. Intents of a controller that died are taken back, networks
 * re-asserted, rules replaced as a whole, ports held again, and whatever bears our mark without a record is removed. Sandboxes
 * that are whole are not touched: their containers notice nothing.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  deleteLink,
  findLink,
  isErrno,
  isNamespaceFile,
  listLinks,
  NetlinkSocket,
  netlinkProtocol,
  removeNetworkNamespace,
} from '@boxship/linux';
import type { Context } from './context.ts';
import type { Ownership } from './drivers/bridge/ownership.ts';
import { driverNamed } from './drivers/lookup.ts';
import type { SandboxRecord } from './model.ts';
import { takeBack } from './networks/remove.ts';
import { completeFiles } from './sandboxes/files.ts';
import { hasInterface } from './sandboxes/interface.ts';
import { directListeners } from './sandboxes/ports.ts';
import { takeBackSandbox } from './sandboxes/remove.ts';

/** Fills the memory from the store. No kernel yet: addresses are booked before anything is decided. */
export function loadRecords(context: Context): void {
  for (const record of context.store.networks()) {
    context.state.networks.set(record.network.id, record);
    context.drivers.expect(record.network.spec.driver);
  }
  for (const record of context.store.sandboxes()) context.state.setSandbox(record);
}

export async function recover(context: Context, ownership: Ownership): Promise<void> {
  // names first: containers ask for them at this moment
  for (const record of context.state.sandboxes.values())
    if (lossOf(context, record) === undefined) resume(context, record);
  for (const record of context.state.networks.values())
    if (record.state === 'ready' && !record.network.spec.isConfigOnly) await assertNetwork(context, record.network.id);
  // with the rules of every sandbox that is ready; those that turn out dead go with the next change
  await context.firewall.rebuild();
  for (const record of [...context.state.sandboxes.values()]) await recoverSandbox(context, record);
  for (const record of [...context.state.networks.values()])
    if (record.state !== 'ready') await takeBack(context, record);
  await context.firewall.rebuild();
  await sweepLinks(context, ownership);
  sweepNamespaces(context);
}

/** Re-asserts one network; a failure is logged. */
export async function assertNetwork(context: Context, id: string): Promise<void> {
  const network = context.state.networks.get(id)?.network;
  if (network === undefined) return;
  try {
    if (network.spec.enableIPv6) context.forwardIPv6();
    await driverNamed(context, network.spec.driver).assert(network);
  } catch (error) {
    // one broken network does not keep the others from working; using it gives the error to its user
    context.log.error('network could not be restored', { network: network.spec.name, id, error });
  }
}

async function recoverSandbox(context: Context, record: SandboxRecord): Promise<void> {
  const { id } = record.spec;
  const reason = lossOf(context, record);
  if (reason !== undefined) {
    context.log.info('sandbox is taken back', { sandbox: id, reason });
    await takeBackSandbox(context, record);
    return;
  }
  const whole = record.isForeign === true ? record : withoutLostEndpoints(context, record);
  if (whole !== record) {
    context.store.saveSandbox(whole);
    context.state.setSandbox(whole);
  }
  reattach(context, whole);
  completeFiles(whole);
  const unheld = await context.ports.restore(id, whole.ports, whole.spec.arePortsHeld);
  if (unheld.length > 0)
    context.log.warn('ports are in use by another program; the rules still serve them', { sandbox: id, unheld });
  directListeners(context, whole);
}

/** The resolver of a sandbox that lives on; a failure is logged. */
function resume(context: Context, record: SandboxRecord): void {
  if (record.hasResolver !== true) return;
  try {
    context.dns.start(record);
  } catch (error) {
    context.log.error('names could not be served again', { sandbox: record.spec.id, error });
  }
}

/** Why a sandbox cannot live on; undefined when it can. */
function lossOf(context: Context, record: SandboxRecord): string | undefined {
  if (record.state !== 'ready') return `found in state ${record.state}`;
  if (record.bootId !== context.bootId) return 'the machine was started anew';
  if (record.isForeign === true) return undefined;
  if (isNamespaceFile(record.namespacePath)) return undefined;
  const hasLink = record.endpoints.some(
    ({ hostInterface }) => hostInterface !== '' && findLink(context.route, hostInterface) !== undefined,
  );
  // the name of the namespace was unmounted, but a container still lives in it
  return hasLink ? undefined : 'its namespace is gone';
}

/** An endpoint whose link is missing was never finished (connect) or was already parted (disconnect). */
function withoutLostEndpoints(context: Context, record: SandboxRecord): SandboxRecord {
  const endpoints = record.endpoints.filter((member) => hasInterface(context, record, member));
  if (endpoints.length === record.endpoints.length) return record;
  context.log.warn('endpoints without a link are taken out', { sandbox: record.spec.id });
  return { ...record, endpoints };
}

/** Ports of a bridge that was deleted and made again have no master. */
export function reattach(context: Context, record: SandboxRecord): void {
  for (const { endpoint, hostInterface } of record.endpoints) {
    if (hostInterface === '') continue;
    const network = context.state.networks.get(endpoint.networkId)?.network;
    if (network !== undefined) driverNamed(context, network.spec.driver).reattach(network, hostInterface);
  }
}

async function sweepLinks(context: Context, ownership: Ownership): Promise<void> {
  const endpoints = new Set<string>();
  for (const { endpoints: members } of context.state.sandboxes.values())
    for (const { endpoint } of members) endpoints.add(endpoint.id);
  using socket = NetlinkSocket.open(netlinkProtocol.route);
  for (const link of listLinks(socket)) {
    const owner = ownership.parse(link.alias);
    if (owner === undefined) continue;
    const isKnown =
      owner.kind === 'network'
        ? context.state.networks.has(owner.id)
        : owner.kind === 'input' || endpoints.has(owner.id); // the firewall's own link is its affair
    if (isKnown) continue;
    context.log.warn('link without a record is removed', { link: link.name, alias: link.alias });
    try {
      await socket.executeAsync(deleteLink(link.index));
    } catch (error) {
      if (!isErrno(error, 'ENODEV')) throw error;
    }
  }
}

function sweepNamespaces(context: Context): void {
  mkdirSync(context.namespaceDirectory, { recursive: true, mode: 0o711 });
  for (const name of readdirSync(context.namespaceDirectory)) {
    if (context.state.sandboxes.has(name)) continue;
    context.log.warn('namespace without a record is removed', { sandbox: name });
    removeNetworkNamespace(join(context.namespaceDirectory, name));
  }
}
