/** Puts the parts of the controller together and recovers. The network namespace of the calling thread becomes its host. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkIdentifier, KeyedMutex, type Logger, silentLogger } from '@boxship/base';
import { NetlinkSocket, netlinkProtocol } from '@boxship/linux';
import { Cluster } from './cluster/cluster.ts';
import { type ClusterSettings, findUnderlay } from './cluster/settings.ts';
import type { Context } from './context.ts';
import type { NetworkController } from './controller.ts';
import { DnsService } from './dns/service.ts';
import { BridgeDriver } from './drivers/bridge/driver.ts';
import { ownershipOf } from './drivers/bridge/ownership.ts';
import { ChildDriver } from './drivers/child/driver.ts';
import { CniDriver } from './drivers/cni/driver.ts';
import { driverNamed } from './drivers/lookup.ts';
import { OverlayDriver } from './drivers/overlay/driver.ts';
import { plainDriver } from './drivers/plain.ts';
import { DriverRegistry } from './drivers/registry.ts';
import { pluginDirectories } from './drivers/remote/discovery.ts';
import { RemoteDriver } from './drivers/remote/driver.ts';
import { Plugins } from './drivers/remote/plugins.ts';
import type { FirewallState } from './firewall/firewall.ts';
import { defaultFirewallSettings, type FirewallSettings, openFirewall } from './firewall/open.ts';
import { enableForwarding, enableIPv6Forwarding } from './forwarding.ts';
import { hostGateway } from './host-gateway.ts';
import { AddressAllocator } from './ipam/addresses.ts';
import { checkPools, type DefaultAddressPool } from './ipam/pools.ts';
import { createNetwork } from './networks/create.ts';
import type { DefaultBridgeOptions } from './networks/default-bridge.ts';
import { ensurePredefined } from './networks/predefined.ts';
import { removeNetwork } from './networks/remove.ts';
import { ForeignNetworks } from './plugin/networks.ts';
import { ForeignPools } from './plugin/pools.ts';
import type { ForeignEngines } from './plugin/server.ts';
import { PortPublisher } from './ports/publisher.ts';
import { purge } from './purge.ts';
import { loadRecords, recover } from './recovery.ts';
import { NamespaceNames } from './repair/namespace-names.ts';
import { watchKernel } from './repair/watch.ts';
import { connect, disconnect } from './sandboxes/connect.ts';
import { createSandbox, toSandbox } from './sandboxes/create.ts';
import { firewallPorts } from './sandboxes/ports.ts';
import { publishPorts, unpublishPorts } from './sandboxes/publish.ts';
import { removeSandbox } from './sandboxes/remove.ts';
import { renameSandbox } from './sandboxes/rename.ts';
import { SpareNamespaces } from './sandboxes/spare-namespaces.ts';
import { statistics } from './sandboxes/statistics.ts';
import { State } from './state.ts';
import { Store } from './store/store.ts';

export interface ControllerOptions {
  /** The database lives here; survives reboots. */
  readonly stateDir: string;
  /** Namespaces are named here; on a file system that a reboot empties. */
  readonly runDir: string;
  /** Marks kernel objects as this engine's. Two engines in one namespace need two. */
  readonly instanceId: string;
  readonly defaultBridge?: DefaultBridgeOptions;
  readonly defaultAddressPools?: readonly DefaultAddressPool[];
  /** What `host-gateway` stands for in extra hosts; absent: the address of the default bridge. */
  readonly hostGateway?: string;
  /** Turn packet forwarding of the host on (default true); without it, containers reach out only if it is on already. */
  readonly isForwarding?: boolean;
  readonly firewall?: Partial<FirewallSettings>;
  /** Where plugins of Docker's are looked for; absent: where Docker looks. */
  readonly pluginDirectories?: readonly string[];
  /** Overlay networks, in common with other engines; absent: there are none. */
  readonly cluster?: ClusterSettings;
  readonly log?: Logger;
}

/** A controller in this process. Ending it leaves everything in the kernel as it is. */
export interface LocalController extends NetworkController, AsyncDisposable {
  /** Takes everything of this engine out of the kernel: sandboxes, networks, rules. For engines that leave nothing behind. */
  purge(): Promise<void>;
  /** What other engines may use: see `servePlugin`. */
  readonly foreign: ForeignEngines;
}

/** @throws unavailable when another controller owns `stateDir` */
export async function createController(options: ControllerOptions): Promise<LocalController> {
  const instanceId = checkIdentifier(options.instanceId);
  const log = options.log ?? silentLogger;
  await using undo = new AsyncDisposableStack();
  mkdirSync(options.runDir, { recursive: true, mode: 0o711 });
  const store = undo.use(Store.open({ state: options.stateDir, run: options.runDir }, log));
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const hostId = store.meta('hostId') ?? randomUUID();
  if (store.meta('hostId') === undefined) store.setMeta('hostId', hostId);

  const state = new State();
  const route = undo.use(NetlinkSocket.open(netlinkProtocol.route));
  const uplinks = options.isForwarding === false ? [] : enableForwarding(route, store, bootId);
  const ownership = ownershipOf(instanceId);
  const settings = { ...defaultFirewallSettings, ...options.firewall };
  const mtu = options.defaultBridge?.mtu ?? 1500;
  const bridge = new BridgeDriver({ route, ownership, mtu, hasFirewall: settings.backend !== 'none' });
  const plugins = new Plugins(options.pluginDirectories ?? pluginDirectories);
  const networks = () => [...state.networks.values()].map(({ network }) => network);
  const child = (name: 'macvlan' | 'ipvlan') => new ChildDriver({ name, route, ownership, networks });
  const firewall = undo.use(
    await openFirewall({ instanceId, state: () => firewallStateOf(context, uplinks), settings, store, log }),
  );
  const underlay = options.cluster === undefined ? undefined : findUnderlay(route, options.cluster.advertise);
  const cluster =
    options.cluster === undefined || underlay === undefined
      ? undefined
      : undo.use(new Cluster({ settings: options.cluster, underlay, context: () => context, engine: hostId, log }));
  const overlay = new OverlayDriver({
    ...{ route, ownership, underlay, bridges: bridge },
    onTunnel: (network) => cluster?.fillTunnel(network),
    onJoin: async (_network, { endpoint }) => await cluster?.announce(endpoint),
  });
  const context: Context = {
    log,
    cluster,
    store,
    state,
    mutex: new KeyedMutex(),
    route,
    firewall,
    ports: undo.use(new PortPublisher()),
    addresses: new AddressAllocator(),
    dns: undo.use(new DnsService({ state, log, hostGateway: () => context.hostGateway() })),
    hostGateway: () => options.hostGateway ?? hostGateway(state),
    forwardIPv6: () => (options.isForwarding === false ? undefined : enableIPv6Forwarding(route)),
    drivers: new DriverRegistry({
      builtIn: [
        bridge,
        child('macvlan'),
        child('ipvlan'),
        overlay,
        new CniDriver(options.runDir),
        plainDriver('host'),
        plainDriver('null'),
      ],
      isPlugin: (name) => plugins.has(name),
      makeRemote: (name) =>
        new RemoteDriver({
          client: plugins.client(name),
          route,
          stateDirectory: options.stateDir,
          runDirectory: options.runDir,
        }),
    }),
    plugins,
    pools: options.defaultAddressPools === undefined ? undefined : checkPools(options.defaultAddressPools),
    namespaceNames: new NamespaceNames({ state, log }),
    spares: undo.use(new SpareNamespaces()),
    namespaceDirectory: join(options.runDir, 'netns'),
    bootId,
    hostId,
  };
  loadRecords(context);
  await recover(context, ownership);
  await ensurePredefined(context, options.defaultBridge ?? {});
  await cluster?.start();
  firewall.watch();
  undo.use(watchKernel(context, log));
  return verbs(context, undo.move());
}

function verbs(context: Context, resources: AsyncDisposableStack): LocalController {
  const { state } = context;
  return {
    createNetwork: (spec) => createNetwork(context, spec),
    network: async (idOrName) => state.network(idOrName),
    listNetworks: async () =>
      [...state.networks.values()].filter((r) => r.state === 'ready').map(({ network }) => network),
    removeNetwork: (idOrName) => removeNetwork(context, idOrName),
    createSandbox: (spec) => createSandbox(context, spec),
    sandbox: async (id) => toSandbox(state.sandbox(id)),
    listSandboxes: async () =>
      [...state.sandboxes.values()].filter((r) => r.state === 'ready' && r.isForeign !== true).map(toSandbox),
    connect: (sandboxId, endpoint) => connect(context, sandboxId, endpoint),
    disconnect: (sandboxId, network, options) => disconnect(context, sandboxId, network, options?.force ?? false),
    publish: (sandboxId, ports) => publishPorts(context, sandboxId, ports),
    unpublish: (sandboxId, ports) => unpublishPorts(context, sandboxId, ports),
    rename: (sandboxId, containerName) => renameSandbox(context, sandboxId, containerName),
    statistics: async (sandboxId) => statistics(context, sandboxId),
    removeSandbox: (id) => removeSandbox(context, id),
    purge: () => purge(context),
    foreign: { networks: new ForeignNetworks(context), pools: new ForeignPools(context) },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function firewallStateOf(context: Context, uplinks: readonly string[]): FirewallState {
  const { state } = context;
  return {
    uplinks,
    networks: [...state.networks.values()].flatMap(({ network }) =>
      network.spec.isConfigOnly ? [] : (driverNamed(context, network.spec.driver).firewall(network) ?? []),
    ),
    ports: [...state.sandboxes.values()]
      .filter((record) => record.state === 'ready')
      .flatMap((record) => firewallPorts(context, record)),
  };
}
