/**
 * The contract of the network: Docker's container network model.
 *
 * Vocabulary
 * - **network**: a group of endpoints that reach each other, made by a driver (`bridge`, `host`, `null`) from address pools.
 * - **sandbox**: the network side of one container: a network namespace, its interfaces, routes, ports, `/etc/hosts` and
 *   `resolv.conf`. Its id is the container's id.
 * - **endpoint**: the attachment of one sandbox to one network: addresses, MAC, names.
 *
 * Life cycle: a sandbox is made before its container starts (`createSandbox`, with every endpoint and port in one call), is
 * joined to and parted from networks while it lives, and is removed after the container has ended. Nothing in it depends on
 * the life of the process that made it: namespaces, links and rules stay when the controller dies, and the next one takes
 * them over. Every operation is idempotent by id and names its kernel objects after the ids.
 *
 * @example
 * const sandbox = await controller.createSandbox({ id, containerName: 'web', hostname: 'web', domainname: '',
 *   files: { hostsPath, resolvConfPath }, endpoints: [{ network: 'bridge' }], ports: [{ protocol: 'tcp', containerPort: 80,
 *   hostIp: '', hostPort: 8080 }] });
 * // sandbox.namespacePath goes into the runtime specification
 * await controller.removeSandbox(id);
 */

export interface AddressPool {
  /** CIDR. Absent: IPAM chooses a free one. */
  readonly subnet?: string;
  readonly ipRange?: string;
  readonly gateway?: string;
  readonly auxAddresses?: Readonly<Record<string, string>>;
  /** Of a network that exists: its subnet was chosen by IPAM. */
  readonly isChosen?: boolean;
}

export interface NetworkSpec {
  readonly name: string;
  /** `bridge`, `host`, `null`. */
  readonly driver: string;
  readonly isInternal?: boolean;
  readonly enableIPv4?: boolean;
  readonly enableIPv6?: boolean;
  readonly isAttachable?: boolean;
  readonly isIngress?: boolean;
  readonly isConfigOnly?: boolean;
  readonly configFrom?: string;
  readonly ipamDriver?: string;
  readonly ipamOptions?: Readonly<Record<string, string>>;
  readonly pools?: readonly AddressPool[];
  readonly options?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Network {
  /** 64 hex digits. */
  readonly id: string;
  /** RFC 3339 with nanoseconds. */
  readonly created: string;
  /** As created, with defaults and pools filled in. */
  readonly spec: Required<NetworkSpec>;
}

export interface EndpointSpec {
  /** Id or name of the network. */
  readonly network: string;
  readonly aliases?: readonly string[];
  /** `container:alias`. */
  readonly links?: readonly string[];
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
  /** Further addresses of the interface, of both families. */
  readonly linkLocalAddresses?: readonly string[];
  readonly macAddress?: string;
  readonly driverOptions?: Readonly<Record<string, string>>;
  readonly gatewayPriority?: number;
}

export interface Endpoint {
  readonly id: string;
  readonly networkId: string;
  readonly networkName: string;
  /** Inside the sandbox: `eth0`. Empty for host and null networks. */
  readonly interfaceName: string;
  readonly macAddress: string;
  /** Addresses are without prefix; empty when there is none. */
  readonly ipv4Address: string;
  readonly ipv4PrefixLength: number;
  readonly ipv4Gateway: string;
  readonly ipv6Address: string;
  readonly ipv6PrefixLength: number;
  readonly ipv6Gateway: string;
  readonly dnsNames: readonly string[];
  readonly spec: EndpointSpec;
}

export interface PortRequest {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly containerPort: number;
  /** Empty: every address of the host. */
  readonly hostIp: string;
  /** 0: any free port of the ephemeral range. */
  readonly hostPort: number;
  /** Last port of a range to choose from. */
  readonly hostPortEnd?: number;
}

export interface PublishedPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly containerPort: number;
  /** `0.0.0.0`, `::` or the address asked for. */
  readonly hostIp: string;
  readonly hostPort: number;
}

export interface SandboxSpec {
  readonly id: string;
  readonly containerName: string;
  readonly hostname: string;
  readonly domainname: string;
  /** Files written and kept up to date by the controller. */
  readonly files?: { readonly hostsPath?: string; readonly resolvConfPath?: string };
  readonly dns?: {
    readonly servers?: readonly string[];
    readonly search?: readonly string[];
    readonly options?: readonly string[];
  };
  /** `name:address`; the address may be `host-gateway`. */
  readonly extraHosts?: readonly string[];
  readonly endpoints: readonly EndpointSpec[];
  readonly ports?: readonly PortRequest[];
  /** Share the namespace of the controller (`--network host`). */
  readonly useHostNamespace?: boolean;
  /** Path of a namespace that another program has made and owns: interfaces are put into it, and taken out at the end. */
  readonly joinNamespace?: string;
  /**
   * The caller has sockets of its own on the host's ports, as podman has: they are translated, but nothing listens on them here.
   * Such ports are given by their numbers.
   */
  readonly arePortsHeld?: boolean;
}

export interface Sandbox {
  readonly id: string;
  /** A path to join: the bind mount of the namespace. */
  readonly namespacePath: string;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
  readonly spec: SandboxSpec;
}

export interface InterfaceStatistics {
  readonly interfaceName: string;
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface NetworkController {
  /**
   * @throws conflict when the name is taken, permissionDenied for predefined names and overlapping pools, invalidArgument for a
   * bad pool or option, notFound for an unknown driver, resourceExhausted when no default pool is left
   */
  createNetwork(spec: NetworkSpec): Promise<Network>;
  /** By full id, then name, then unique id prefix. @throws notFound `network X not found`, invalidArgument if ambiguous */
  network(idOrName: string): Promise<Network>;
  listNetworks(): Promise<readonly Network[]>;
  /** @throws notFound, permissionDenied (Docker's 403) for predefined networks and while endpoints are active */
  removeNetwork(idOrName: string): Promise<void>;

  /** Idempotent by id. On failure nothing is left behind. @throws unknown with Docker's text when a port is taken */
  createSandbox(spec: SandboxSpec): Promise<Sandbox>;
  /** @throws notFound */
  sandbox(id: string): Promise<Sandbox>;
  listSandboxes(): Promise<readonly Sandbox[]>;
  /** @throws notFound, permissionDenied when it is joined already, invalidArgument for combinations Docker refuses */
  connect(sandboxId: string, endpoint: EndpointSpec): Promise<Endpoint>;
  /** @throws notFound, permissionDenied when it is not joined (not with `force`) */
  disconnect(sandboxId: string, network: string, options?: { readonly force?: boolean }): Promise<void>;
  /**
   * Publishes further ports of a sandbox that lives; all or none. Gives them with their numbers; none while the sandbox has no
   * network that can carry them: then they are published when it joins one.
   * @throws notFound, unknown with Docker's text when a port is taken
   */
  publish(sandboxId: string, ports: readonly PortRequest[]): Promise<readonly PublishedPort[]>;
  /**
   * Takes published ports back; open connections through them end where the controller carries them. An empty address means every
   * one, the number 0 any. Those that are not published are no error. @throws notFound
   */
  unpublish(sandboxId: string, ports: readonly PortRequest[]): Promise<void>;
  /** The container is called otherwise from now on, and so are its endpoints. @throws notFound */
  rename(sandboxId: string, containerName: string): Promise<void>;
  statistics(sandboxId: string): Promise<readonly InterfaceStatistics[]>;
  /** Removing an unknown sandbox succeeds. */
  removeSandbox(id: string): Promise<void>;
}
