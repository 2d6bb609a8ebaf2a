/** The default routes of a sandbox: through its gateway endpoints, one for each family. */
import { BoxshipError } from '@boxship/base';
import { findLink, setRoute } from '@boxship/linux';
import type { SandboxAccess } from '../drivers/driver.ts';
import type { Gateways } from './gateway.ts';

/** Replaces the routes of the families that have a gateway. Those of others went with the links they led through. */
export function setDefaultRoutes(sandbox: SandboxAccess, { ipv4, ipv6 }: Gateways): void {
  const indexOf = (name: string): number => {
    const link = findLink(sandbox.route, name);
    if (link === undefined) throw new BoxshipError('aborted', `interface ${name} vanished from its sandbox`);
    return link.index;
  };
  const routes = [
    ...(ipv4 === undefined ? [] : [setRoute({ gateway: ipv4.ipv4Gateway, linkIndex: indexOf(ipv4.interfaceName) })]),
    ...(ipv6 === undefined ? [] : [setRoute({ gateway: ipv6.ipv6Gateway, linkIndex: indexOf(ipv6.interfaceName) })]),
  ];
  if (routes.length > 0) sandbox.route.execute(...routes);
}
