/** What the verbs of the controller work with. Made once by `create-controller.ts`; holds parts, no behaviour. */
import type { KeyedMutex, Logger } from '@boxship/base';
import type { NetlinkSocket } from '@boxship/linux';
import type { ClusterMembership } from './cluster/membership.ts';
import type { DnsService } from './dns/service.ts';
import type { DriverRegistry } from './drivers/registry.ts';
import type { Plugins } from './drivers/remote/plugins.ts';
import type { Firewall } from './firewall/firewall.ts';
import type { AddressAllocator } from './ipam/addresses.ts';
import type { DefaultAddressPool } from './ipam/pools.ts';
import type { PortPublisher } from './ports/publisher.ts';
import type { NamespaceNames } from './repair/namespace-names.ts';
import type { SpareNamespaces } from './sandboxes/spare-namespaces.ts';
import type { State } from './state.ts';
import type { Store } from './store/store.ts';

export interface Context {
  readonly log: Logger;
  readonly store: Store;
  readonly state: State;
  /** One queue per sandbox (`sandbox:ID`), one for changes of the set of networks (`networks`). */
  readonly mutex: KeyedMutex;
  readonly route: NetlinkSocket;
  readonly firewall: Firewall;
  readonly ports: PortPublisher;
  readonly addresses: AddressAllocator;
  readonly dns: DnsService;
  readonly drivers: DriverRegistry;
  readonly plugins: Plugins;
  /** What overlay networks have in common with other hosts; undefined: this engine is in no cluster. */
  readonly cluster: ClusterMembership | undefined;
  /** undefined: Docker's. */
  readonly pools: readonly DefaultAddressPool[] | undefined;
  /** Where namespaces are named. */
  readonly namespaceDirectory: string;
  readonly namespaceNames: NamespaceNames;
  readonly spares: SpareNamespaces;
  /** What `host-gateway` stands for in extra hosts. */
  readonly hostGateway: () => string;
  /** Turns the host's forwarding of IPv6 on, as far as that is wanted. */
  readonly forwardIPv6: () => void;
  readonly bootId: string;
  readonly hostId: string;
}
