/** Building of images, which this engine does not do: said so, not hidden behind "page not found". */
import { BoxshipError } from '@boxship/base';
import type { Router } from '../server.ts';

export function buildRoutes(router: Router): void {
  const refuse = () => {
    throw new BoxshipError(
      'unimplemented',
      'this engine has no builder: build with another tool (buildah, kaniko, buildx with a builder of its own) and `docker load` or pull the result',
    );
  };
  router.on('POST', '/build', refuse);
  router.on('POST', '/build/cancel', refuse);
  router.on('POST', '/session', refuse);
  // asked by `system prune`: there is no cache
  router.on('POST', '/build/prune', (exchange) => exchange.json({ CachesDeleted: null, SpaceReclaimed: 0 }));
}
