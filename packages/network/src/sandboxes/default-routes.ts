/** The default routes of a sandbox: through its gateway endpoints, one for each family. */
import { deleteRoute, isErrno, type RouteOptions, setRoute } from '@boxship/linux';
import type { SandboxAccess } from '../drivers/driver.ts';
import { linkIndexIn } from '../drivers/inside.ts';
import type { Gateways } from './gateway.ts';

/** Replaces the routes of the families that have a gateway. Those of others went with the links they led through. */
export function setDefaultRoutes(sandbox: SandboxAccess, { ipv4, ipv6 }: Gateways): void {
  const indexOf = (name: string): number => linkIndexIn(sandbox, name);
  const routes: RouteOptions[] = [
    ...(ipv4 === undefined ? [] : [{ gateway: ipv4.ipv4Gateway, linkIndex: indexOf(ipv4.interfaceName) }]),
    ...(ipv6 === undefined ? [] : [{ gateway: ipv6.ipv6Gateway, linkIndex: indexOf(ipv6.interfaceName) }]),
  ];
  if (routes.length === 0) return;
  const requests = routes.map(setRoute);
  for (const { index, error } of sandbox.route.attempt(...requests)) {
    const route = routes[index];
    if (route === undefined || !isErrno(error, 'EEXIST')) throw error;
    // a plugin of others has added a route beside ours, which would be replaced by one that is there already
    sandbox.route.execute(deleteRoute(route), setRoute(route));
  }
}
