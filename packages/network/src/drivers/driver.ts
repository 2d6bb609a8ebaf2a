/**
 * The contract of a network driver: how one kind of network exists in the kernel. The controller owns names, addresses,
 * records and order; a driver only makes kernel objects equal to what it is told. Every call is idempotent, because each may
 * be the repetition of one that a crash cut off, and synchronous unless the kernel or another program is waited for.
 */
import type { NetlinkSocket } from '@boxship/linux';
import type { Network, NetworkSpec } from '../controller.ts';
import type { FirewallNetwork } from '../firewall/firewall.ts';
import type { EndpointRecord } from '../model.ts';

/** An open sandbox: its namespace and how to work inside. */
export interface SandboxAccess {
  readonly namespacePath: string;
  /** A socket of the namespace, usable from outside. */
  readonly route: NetlinkSocket;
  /** Indexes of its links, by name, as far as they are known already: see `linkIndexIn`. */
  readonly links: Map<string, number>;
  /** In a namespace that has just been made: the index that the kernel would give its next link. */
  readonly nextIndex?: () => number;
  /** Runs synchronous work inside of the namespace: for what no socket can do. */
  readonly inside: <T>(work: () => T) => T;
}

export interface Driver {
  readonly name: string;
  /** Networks of this driver have address pools and interfaces. */
  readonly hasInterfaces: boolean;
  /** Interfaces have an end in the host, by which they are found again, and vanish with the namespace of their sandbox. */
  readonly hasHostEnds: boolean;
  /** Addresses are the driver's affair: its networks have no pools, `join` fills them in. */
  readonly assignsAddresses: boolean;
  /** Networks are those of the whole cluster: they are defined and their addresses are claimed there. */
  readonly isShared?: true;
  /** Interfaces are the work of other programs, in whose links no rules of ours are: published ports are carried by listeners. */
  readonly isForeign?: true;
  /** @throws invalidArgument for options the driver cannot honour */
  validate(spec: NetworkSpec): void;
  /** The options as inspection shows them, with everything chosen by the driver filled in. */
  fillOptions(id: string, options: Readonly<Record<string, string>>): Record<string, string>;
  /** Makes or re-asserts the network in the kernel. */
  assert(network: Network): void | Promise<void>;
  /** Whether the network still stands in the kernel. */
  isPresent(network: Network): boolean;
  remove(network: Network): Promise<void>;
  /** What the firewall must know; undefined when nothing. */
  firewall(network: Network): FirewallNetwork | undefined;
  /** Prefix of interface names inside of sandboxes. */
  interfacePrefix(network: Network): string;
  /**
   * Makes the interface and puts it, configured and up, into the sandbox. Gives the endpoint as it has become: what the driver
   * itself decides (a gateway, an address) is filled in.
   */
  join(network: Network, record: EndpointRecord, sandbox: SandboxAccess): EndpointRecord | Promise<EndpointRecord>;
  /** Makes the interface with its inner end loose in the host, for a foreign engine to move. Absent: not possible. */
  makeLoose?(network: Network, record: EndpointRecord, name: string): void;
  /** Puts the host end of an interface back into its network, after the network had to be made again. */
  reattach(network: Network, hostInterface: string): void;
  /** Takes the interface away from a sandbox that lives on; without host ends also before the sandbox goes. */
  leave(network: Network, record: EndpointRecord, sandbox: Pick<SandboxAccess, 'namespacePath'>): Promise<void>;
}
