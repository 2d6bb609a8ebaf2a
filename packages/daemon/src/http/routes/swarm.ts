/** The swarm family and plugins: a node that is in no swarm and has no plugins, said in Docker's words. */
import { BoxshipError } from '@boxship/base';
import type { HttpMethod, Router } from '../server.ts';

const notManager =
  'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';

export function swarmRoutes(router: Router): void {
  const refuse = (message: string) => () => {
    throw new BoxshipError('unavailable', message);
  };
  for (const family of ['swarm', 'nodes', 'services', 'tasks', 'secrets', 'configs'])
    for (const method of ['GET', 'POST', 'DELETE'] satisfies HttpMethod[]) {
      router.on(method, `/${family}`, refuse(notManager));
      router.on(method, `/${family}/*`, refuse(notManager));
    }
  router.on('POST', '/swarm/leave', refuse('This node is not part of a swarm'));
  router.on('GET', '/plugins', (exchange) => exchange.json([]));
  router.on('GET', '/plugins/*', (exchange) => {
    const name = exchange.param('*').replace(/\/json$/, '');
    throw new BoxshipError('notFound', `plugin "${name}" not found`);
  });
}
