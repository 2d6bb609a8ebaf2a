/**
 * The overlay driver: on each host of a cluster a bridge as the bridge driver makes it, with the same subnet and gateway address
 * everywhere, and in it a VXLAN tunnel to the bridges of the other hosts. Outward connections and published ports so are those
 * of the bridge, on the host of each container. Which containers are where it is told by the cluster.
 */
import { BoxshipError } from '@boxship/base';
import { findLink, type NetlinkSocket } from '@boxship/linux';
import { noCluster } from '../../cluster/lookup.ts';
import type { Underlay } from '../../cluster/settings.ts';
import type { Network, NetworkSpec } from '../../controller.ts';
import type { FirewallNetwork } from '../../firewall/firewall.ts';
import type { EndpointRecord } from '../../model.ts';
import type { BridgeDriver } from '../bridge/driver.ts';
import { parseBridgeOptions } from '../bridge/options.ts';
import type { Ownership } from '../bridge/ownership.ts';
import { deleteLinkNamed } from '../delete-link.ts';
import type { Driver, SandboxAccess } from '../driver.ts';
import { overlayOption, parseOverlayOptions } from './options.ts';
import { ensureTunnel, tunnelName, tunnelOverhead } from './tunnel.ts';

export interface OverlayDriverOptions {
  readonly route: NetlinkSocket;
  readonly ownership: Ownership;
  readonly bridges: BridgeDriver;
  /** undefined: this engine is in no cluster. */
  readonly underlay: Underlay | undefined;
  /** A tunnel is there: it is to be told who is where. */
  readonly onTunnel: (network: Network) => void;
  /** A container is in its network: the others are to be told. Does not fail: what could not be told is told later. */
  readonly onJoin: (network: Network, record: EndpointRecord) => Promise<void>;
}

export class OverlayDriver implements Driver {
  readonly name = 'overlay';
  readonly hasInterfaces = true;
  readonly hasHostEnds = true;
  readonly assignsAddresses = false;
  readonly isShared = true as const;
  readonly #options: OverlayDriverOptions;

  constructor(options: OverlayDriverOptions) {
    this.#options = options;
  }

  validate(spec: NetworkSpec): void {
    parseOverlayOptions(spec.options ?? {});
    if (spec.ipamDriver !== undefined && spec.ipamDriver !== '' && spec.ipamDriver !== 'default')
      throw new BoxshipError(
        'invalidArgument',
        'addresses of overlay networks are given by the cluster: no IPAM driver',
      );
    if (spec.isConfigOnly !== true) this.#underlay();
  }

  fillOptions(_id: string, options: Readonly<Record<string, string>>): Record<string, string> {
    return { ...options };
  }

  async assert(network: Network): Promise<void> {
    const { route, ownership, bridges, onTunnel } = this.#options;
    const { address: local } = this.#underlay();
    const asBridge = this.#asBridge(network);
    bridges.assert(asBridge);
    const { vni } = parseOverlayOptions(network.spec.options);
    if (vni === undefined)
      throw new BoxshipError('dataLoss', `overlay network ${network.spec.name} has no VXLAN number`);
    const { bridge, mtu = 0 } = parseBridgeOptions(network.id, asBridge.spec.options);
    const of = { networkId: network.id, networkName: network.spec.name };
    if (await ensureTunnel(route, ownership, { ...of, vni, local, bridge, mtu })) onTunnel(network);
  }

  isPresent(network: Network): boolean {
    return (
      this.#options.bridges.isPresent(this.#asBridge(network)) &&
      findLink(this.#options.route, tunnelName(network.id)) !== undefined
    );
  }

  async remove(network: Network): Promise<void> {
    const { route, ownership, bridges } = this.#options;
    const name = tunnelName(network.id);
    if (findLink(route, name)?.alias === ownership.aliasOf('network', network.id)) await deleteLinkNamed(name);
    await bridges.remove(this.#asBridge(network));
  }

  firewall(network: Network): FirewallNetwork {
    return this.#options.bridges.firewall(this.#asBridge(network));
  }

  interfacePrefix(network: Network): string {
    return this.#options.bridges.interfacePrefix(this.#asBridge(network));
  }

  async join(network: Network, record: EndpointRecord, sandbox: SandboxAccess): Promise<EndpointRecord> {
    const joined = this.#options.bridges.join(this.#asBridge(network), record, sandbox);
    await this.#options.onJoin(network, joined);
    return joined;
  }

  reattach(network: Network, hostInterface: string): void {
    this.#options.bridges.reattach(this.#asBridge(network), hostInterface);
  }

  leave(network: Network, record: EndpointRecord): Promise<void> {
    return this.#options.bridges.leave(this.#asBridge(network), record);
  }

  #underlay(): Underlay {
    const { underlay } = this.#options;
    if (underlay !== undefined) return underlay;
    throw noCluster();
  }

  /** The network as the bridge driver takes it: with the MTU that the tunnel leaves. */
  #asBridge(network: Network): Network {
    const { options } = network.spec;
    const { route, underlay } = this.#options;
    const parent = underlay === undefined ? undefined : findLink(route, underlay.interfaceName);
    const mtu = parseOverlayOptions(options).mtu ?? (parent?.mtu ?? 1500) - tunnelOverhead;
    const prefix = options[overlayOption.interfacePrefix];
    return {
      ...network,
      spec: {
        ...network.spec,
        driver: 'bridge',
        options: {
          [overlayOption.mtu]: String(mtu),
          ...(prefix === undefined ? {} : { [overlayOption.interfacePrefix]: prefix }),
        },
      },
    };
  }
}
