/** The edge towards a server, whatever the wire: a {@link NetworkController} whose calls are those of `boxship.network.v1`. */
import { network as wire } from '@boxship/api';
import { BoxshipError, retry } from '@boxship/base';
import type { NetworkController } from '../controller.ts';
import {
  endpointFromWire,
  endpointSpecToWire,
  networkFromWire,
  networkSpecToWire,
  portRequestToWire,
  publishedPortFromWire,
  sandboxFromWire,
  sandboxSpecToWire,
} from './messages.ts';
import type { Method, Transport } from './transport.ts';

export interface RemoteController extends NetworkController, Disposable {}

/** @param timeoutMs time a call may take, a restart of the server included */
export function remoteController(transport: Transport, timeoutMs: number): RemoteController {
  const networks = wire.NetworksService;
  const sandboxes = wire.SandboxesService;
  const single = <Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> =>
    transport.call(method, request, timeoutMs);
  /** For calls whose repetition changes nothing: one that a dying server cut off is sent to its successor. */
  const repeatable = <Request, Response>(method: Method<Request, Response>, request: Request): Promise<Response> => {
    const deadline = performance.now() + timeoutMs;
    return retry(
      {
        attempts: 5,
        firstDelayMs: 20,
        maxDelayMs: 250,
        isRetryable: (error) => BoxshipError.is(error, 'unavailable') && error.details['isTransport'] === true,
      },
      () => transport.call(method, request, Math.max(1, deadline - performance.now())),
    );
  };

  return {
    createNetwork: async (spec) => networkFromWire(await single(networks.create, networkSpecToWire(spec))),
    network: async (idOrName) => networkFromWire(await repeatable(networks.get, { network: idOrName })),
    listNetworks: async () => (await repeatable(networks.list, {})).networks.map(networkFromWire),
    async removeNetwork(idOrName) {
      await single(networks.remove, { network: idOrName });
    },
    createSandbox: async (spec) => sandboxFromWire(await repeatable(sandboxes.create, sandboxSpecToWire(spec))),
    sandbox: async (id) => sandboxFromWire(await repeatable(sandboxes.get, { id })),
    listSandboxes: async () => (await repeatable(sandboxes.list, {})).sandboxes.map(sandboxFromWire),
    connect: async (sandboxId, endpoint) =>
      endpointFromWire(await single(sandboxes.connect, { sandboxId, endpoint: endpointSpecToWire(endpoint) })),
    async disconnect(sandboxId, network, disconnectOptions) {
      const request = { sandboxId, network, force: disconnectOptions?.force ?? false };
      await single(sandboxes.disconnect, request);
    },
    async publish(sandboxId, ports) {
      const request = { sandboxId, ports: ports.map(portRequestToWire) };
      return (await single(sandboxes.publish, request)).ports.map(publishedPortFromWire);
    },
    async unpublish(sandboxId, ports) {
      await repeatable(sandboxes.unpublish, { sandboxId, ports: ports.map(portRequestToWire) });
    },
    async rename(sandboxId, containerName) {
      await repeatable(sandboxes.rename, { sandboxId, containerName });
    },
    statistics: async (sandboxId) =>
      (await repeatable(sandboxes.statistics, { id: sandboxId })).interfaces.map((entry) => ({
        interfaceName: entry.interfaceName,
        rxBytes: Number(entry.rxBytes),
        rxPackets: Number(entry.rxPackets),
        rxErrors: Number(entry.rxErrors),
        rxDropped: Number(entry.rxDropped),
        txBytes: Number(entry.txBytes),
        txPackets: Number(entry.txPackets),
        txErrors: Number(entry.txErrors),
        txDropped: Number(entry.txDropped),
      })),
    async removeSandbox(id) {
      await repeatable(sandboxes.remove, { id });
    },
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
}
