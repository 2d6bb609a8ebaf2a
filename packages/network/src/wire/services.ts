/** The edge towards clients, whatever the wire: a {@link NetworkController} as the services of `boxship.network.v1`. */
import type { MethodDefinition, network as wire } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { NetworkController } from '../controller.ts';
import {
  endpointSpecFromWire,
  endpointToWire,
  networkSpecFromWire,
  networkToWire,
  portRequestFromWire,
  sandboxSpecFromWire,
  sandboxToWire,
} from './messages.ts';

type Handlers<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends MethodDefinition<infer Request, infer Response>
    ? (request: Request) => Promise<Response>
    : never;
};

export interface NetworkServices {
  readonly networks: Handlers<wire.NetworksService>;
  readonly sandboxes: Handlers<wire.SandboxesService>;
}

const empty = {};

export function networkServices(controller: NetworkController): NetworkServices {
  return {
    networks: {
      create: async (request) => networkToWire(await controller.createNetwork(networkSpecFromWire(request))),
      get: async ({ network }) => networkToWire(await controller.network(network)),
      list: async () => ({ networks: (await controller.listNetworks()).map(networkToWire) }),
      async remove({ network }) {
        await controller.removeNetwork(network);
        return empty;
      },
    },
    sandboxes: {
      create: async (request) => sandboxToWire(await controller.createSandbox(sandboxSpecFromWire(request))),
      get: async ({ id }) => sandboxToWire(await controller.sandbox(id)),
      list: async () => ({ sandboxes: (await controller.listSandboxes()).map(sandboxToWire) }),
      async connect({ sandboxId, endpoint }) {
        if (endpoint === undefined) throw new BoxshipError('invalidArgument', 'endpoint is missing');
        return endpointToWire(await controller.connect(sandboxId, endpointSpecFromWire(endpoint)));
      },
      async disconnect({ sandboxId, network, force }) {
        await controller.disconnect(sandboxId, network, { force });
        return empty;
      },
      async publish({ sandboxId, ports }) {
        const published = await controller.publish(sandboxId, ports.map(portRequestFromWire));
        return { ports: published.map((port) => ({ ...port })) };
      },
      async unpublish({ sandboxId, ports }) {
        await controller.unpublish(sandboxId, ports.map(portRequestFromWire));
        return empty;
      },
      async rename({ sandboxId, containerName }) {
        await controller.rename(sandboxId, containerName);
        return empty;
      },
      statistics: async ({ id }) => ({
        interfaces: (await controller.statistics(id)).map((entry) => ({
          interfaceName: entry.interfaceName,
          rxBytes: BigInt(entry.rxBytes),
          rxPackets: BigInt(entry.rxPackets),
          rxErrors: BigInt(entry.rxErrors),
          rxDropped: BigInt(entry.rxDropped),
          txBytes: BigInt(entry.txBytes),
          txPackets: BigInt(entry.txPackets),
          txErrors: BigInt(entry.txErrors),
          txDropped: BigInt(entry.txDropped),
        })),
      }),
      async remove({ id }) {
        await controller.removeSandbox(id);
        return empty;
      },
    },
  };
}
