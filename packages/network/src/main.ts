/** `boxship-networkd`: the network controller as a process of its own, which owns no container and may die at any time. */
import { installShutdown, messageOf, recordSpans } from '@boxship/base';
import { createLogger } from '@boxship/base/pino';
import { createController } from './create-controller.ts';
import { controllerOptions, parseFlags, usage } from './flags.ts';
import { servePlugin } from './plugin/server.ts';
import { serveController } from './wire/serve.ts';

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(usage);
    return;
  }
  const flags = parseFlags(args);
  recordSpans();
  const log = createLogger({ name: 'boxship-networkd', level: flags.logLevel });
  const resources = new AsyncDisposableStack();
  installShutdown({ log, budgetMs: 5000, stop: () => resources.disposeAsync() });
  const startedAt = performance.now();
  const controller = resources.use(await createController({ ...controllerOptions(flags), log }));
  if (flags.isPurge) {
    await controller.purge();
    await resources.disposeAsync();
    return;
  }
  resources.use(await serveController({ controller, address: flags.address, log }));
  if (flags.pluginSocket !== undefined)
    resources.use(await servePlugin({ ...controller.foreign, path: flags.pluginSocket, log }));
  log.info('serving', { address: flags.address, startMs: Math.round(performance.now() - startedAt) });
}

main().catch((error: unknown) => {
  process.stderr.write(`boxship-networkd: ${messageOf(error)}\n`);
  process.exit(1);
});
