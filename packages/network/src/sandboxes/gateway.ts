/** Which endpoint carries the default route and the published ports of a sandbox. */
import type { Endpoint, PublishedPort } from '../controller.ts';
import type { FirewallPort } from '../firewall/ruleset.ts';

/** Docker's order: priority, number of families with a gateway, then the name of the network. undefined: none can. */
export function gatewayOf(endpoints: readonly Endpoint[]): Endpoint | undefined {
  const families = (endpoint: Endpoint): number =>
    Number(endpoint.ipv4Gateway !== '') + Number(endpoint.ipv6Gateway !== '');
  return endpoints
    .filter((endpoint) => families(endpoint) > 0)
    .toSorted(
      (a, b) =>
        (b.spec.gatewayPriority ?? 0) - (a.spec.gatewayPriority ?? 0) ||
        families(b) - families(a) ||
        (a.networkName < b.networkName ? -1 : 1),
    )[0];
}

export const gatewaysOf = (endpoint: Endpoint): string[] =>
  [endpoint.ipv4Gateway, endpoint.ipv6Gateway].filter((address) => address !== '');

/** The ports of a sandbox as the firewall takes them: none while no endpoint can carry them. */
export function firewallPorts(ports: readonly PublishedPort[], gateway: Endpoint | undefined): FirewallPort[] {
  if (gateway === undefined) return [];
  return ports.flatMap((port) => {
    const containerIp = port.hostIp.includes(':') ? gateway.ipv6Address : gateway.ipv4Address;
    return containerIp === '' ? [] : [{ ...port, containerIp }];
  });
}
