/** Which endpoints carry the default routes and the published ports of a sandbox: one for each family, mostly the same. */
import type { Endpoint } from '../controller.ts';
import type { SandboxRecord } from '../model.ts';

export interface Gateways {
  /** undefined: no endpoint leads out. */
  readonly ipv4: Endpoint | undefined;
  readonly ipv6: Endpoint | undefined;
}

/** Docker's order: priority, number of families with a gateway, then the name of the network. */
export function gatewaysOf(record: Pick<SandboxRecord, 'endpoints'>): Gateways {
  const families = (endpoint: Endpoint): number =>
    Number(endpoint.ipv4Gateway !== '') + Number(endpoint.ipv6Gateway !== '');
  const ordered = record.endpoints
    .map(({ endpoint }) => endpoint)
    .toSorted(
      (a, b) =>
        (b.spec.gatewayPriority ?? 0) - (a.spec.gatewayPriority ?? 0) ||
        families(b) - families(a) ||
        (a.networkName < b.networkName ? -1 : 1),
    );
  return {
    ipv4: ordered.find((endpoint) => endpoint.ipv4Gateway !== ''),
    ipv6: ordered.find((endpoint) => endpoint.ipv6Gateway !== ''),
  };
}

/** Whether anything leads out. */
export const hasGateway = ({ ipv4, ipv6 }: Gateways): boolean => ipv4 !== undefined || ipv6 !== undefined;

export const areSame = (a: Gateways, b: Gateways): boolean => a.ipv4?.id === b.ipv4?.id && a.ipv6?.id === b.ipv6?.id;

/** Where connections to the published ports go; empty: nowhere. */
export const targetsOf = ({ ipv4, ipv6 }: Gateways): { ipv4: string; ipv6: string } => ({
  ipv4: ipv4?.ipv4Address ?? '',
  ipv6: ipv6?.ipv6Address ?? '',
});
