/**
 * What the rest of the controller asks of its cluster: the definitions and addresses of networks that several engines have in
 * common. A contract of its own, so that nothing above needs the machinery behind it.
 */
import type { Endpoint, EndpointSpec, Network, NetworkSpec } from '../controller.ts';
import type { GivenAddresses } from '../ipam/addresses.ts';

export interface ClusterMembership extends AsyncDisposable {
  /**
   * Makes a network known to all engines, with its subnets and number chosen.
   * @throws conflict, permissionDenied (overlap), resourceExhausted, unavailable when the store is away
   */
  define(draft: Network, asked: NetworkSpec): Promise<Network>;
  /** Takes a network from all engines. @throws permissionDenied while others have containers in it, unavailable */
  forget(network: Network): Promise<void>;
  /** Addresses that no other engine has. @throws permissionDenied, resourceExhausted, unavailable */
  claim(network: Network, spec: EndpointSpec): Promise<GivenAddresses>;
  /** Does not fail: while the store is away it is done when it is back. */
  release(endpoint: Pick<Endpoint, 'networkId' | 'ipv4Address' | 'ipv6Address'>): Promise<void>;
  /** Tells the others who is at an address. Does not fail either. */
  announce(endpoint: Endpoint): Promise<void>;
}
