/** All routes of the daemon. */
import type { Parts } from '../../parts.ts';
import type { Router } from '../server.ts';
import { archiveRoutes } from './archive.ts';
import { buildRoutes } from './build.ts';
import { containerStreamRoutes } from './container-streams.ts';
import { containerRoutes } from './containers.ts';
import { execRoutes } from './exec.ts';
import { imageRoutes } from './images.ts';
import { networkRoutes } from './networks.ts';
import { swarmRoutes } from './swarm.ts';
import { systemRoutes } from './system.ts';
import { volumeRoutes } from './volumes.ts';

export function addRoutes(router: Router, parts: Parts): void {
  systemRoutes(router, parts);
  containerRoutes(router, parts);
  containerStreamRoutes(router, parts);
  archiveRoutes(router, parts);
  execRoutes(router, parts);
  imageRoutes(router, parts);
  networkRoutes(router, parts);
  volumeRoutes(router, parts);
  buildRoutes(router);
  swarmRoutes(router);
}
