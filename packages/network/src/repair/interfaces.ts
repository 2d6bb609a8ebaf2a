/**
 * Interfaces of running containers that were deleted by another program are made again, with address, route and MAC. What
 * cannot be (the parent of a macvlan is gone) is reported once.
 */
import { listLinks } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { Endpoint } from '../controller.ts';
import type { EndpointRecord, SandboxRecord } from '../model.ts';
import { setDefaultRoutes } from '../sandboxes/default-routes.ts';
import { gatewaysOf } from '../sandboxes/gateway.ts';
import { hasInterface } from '../sandboxes/interface.ts';
import { joinNetwork, keepJoined } from '../sandboxes/join.ts';
import { openNamespace } from '../sandboxes/namespace.ts';

export class InterfaceRepair {
  readonly #context: Context;
  /** Endpoints of which it was said that they are lost. */
  readonly #reported = new Set<string>();

  constructor(context: Context) {
    this.#context = context;
  }

  async run(): Promise<void> {
    const { state, route, mutex } = this.#context;
    const present = new Set(listLinks(route).map(({ name }) => name));
    for (const record of [...state.sandboxes.values()]) {
      const { id } = record.spec;
      const isLost = (member: EndpointRecord): boolean =>
        member.hostInterface === '' ? !hasInterface(this.#context, record, member) : !present.has(member.hostInterface);
      if (record.state === 'ready' && record.isForeign !== true && record.endpoints.some(isLost))
        await mutex.run(`sandbox:${id}`, () => this.#repair(id));
    }
  }

  /** In the turn of the sandbox: what looked lost may have been an endpoint on its way in or out. */
  async #repair(id: string): Promise<void> {
    const { state, log } = this.#context;
    const record = state.sandboxes.get(id);
    if (record?.state !== 'ready') return;
    for (const member of record.endpoints) {
      if (hasInterface(this.#context, record, member)) continue;
      const { endpoint } = member;
      const where = { sandbox: id, network: endpoint.networkName, interface: endpoint.interfaceName };
      try {
        await makeAgain(this.#context, record, member);
        this.#reported.delete(endpoint.id);
        log.warn('interface of a container was deleted by another program: made again', where);
      } catch (error) {
        if (this.#reported.has(endpoint.id)) continue;
        this.#reported.add(endpoint.id);
        log.error('interface of a container was deleted by another program and cannot be made again', {
          ...where,
          error,
        });
      }
    }
  }
}

async function makeAgain(context: Context, record: SandboxRecord, member: EndpointRecord): Promise<void> {
  const network = context.state.networks.get(member.endpoint.networkId)?.network;
  if (network === undefined) return;
  using access = openNamespace(record.namespacePath);
  const made = await joinNetwork(context, network, member, access);
  const endpoints = record.endpoints.map((other) => (other === member ? made : other));
  const { ipv4, ipv6 } = gatewaysOf(keepJoined(context, record, endpoints));
  const through = (gateway: Endpoint | undefined) => (gateway?.id === member.endpoint.id ? gateway : undefined);
  setDefaultRoutes(access, { ipv4: through(ipv4), ipv6: through(ipv6) });
}
