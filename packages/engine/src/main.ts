/** `boxship-engine`: starts the whole engine in the foreground and keeps its parts running. Takes the flags of boxshipd. */
import { installShutdown, messageOf } from '@boxship/base';
import { createLogger } from '@boxship/base/pino';
import { startEngine } from './engine.ts';
import { preflight } from './host/preflight.ts';
import { engineTools } from './host/tools.ts';

const usage = `boxship-engine [flags of boxshipd]

Starts boxship-containerd, boxship-networkd and boxshipd, and starts again what dies.
  -H, --host unix://PATH       where the Engine API is served (default unix:///run/boxship/boxship.sock)
  --data-root DIR              persistent data (default /var/lib/boxship)
  --exec-root DIR              volatile state (default /run/boxship)
  --containerd SOCKET          use this containerd instead of starting one
  --bip CIDR                   address of the default bridge
  --insecure-registry NAME     registry without verified TLS
  --registry-mirror URL        mirror of docker.io
  --log-level LEVEL            debug, info, warn, error
`;

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    process.stdout.write(usage);
    return;
  }
  const print = (line: string) => process.stdout.write(`${line}\n`);
  preflight({ tools: engineTools, print });
  const log = createLogger({ name: 'boxship-engine' });
  const engine = await startEngine({ args, log });
  installShutdown({ log, budgetMs: 90_000, stop: () => engine.stop() });
  const [host = ''] = engine.hosts;
  print(`boxship listens on ${host}`);
  print(`its containerd is at ${engine.containerdAddress}`);
  print('');
  print('Type next, in another terminal:');
  print(`  npm start -- run --rm boxship/hello`);
  print(`  DOCKER_HOST=${host} docker run --rm boxship/hello`);
  print(`  ctr --address ${engine.containerdAddress} --namespace moby containers ls`);
}

main().catch((error: unknown) => {
  process.stderr.write(`boxship-engine: ${messageOf(error)}\n`);
  process.exit(1);
});
