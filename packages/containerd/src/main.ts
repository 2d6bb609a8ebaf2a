/** `boxship-containerd`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, installShutdown, messageOf, recordSpans } from '@boxship/base';
import { createLogger } from '@boxship/base/pino';
import { tryLockFile } from '@boxship/linux';
import { containerdOptions, parseConfig, usage } from './config.ts';
import { Containerd } from './containerd.ts';
import { serveContainerd } from './server.ts';
import { containerdVersion } from './version.ts';

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help')) return void process.stdout.write(usage);
  if (args.includes('--version')) return void process.stdout.write(`boxship-containerd ${containerdVersion}\n`);
  recordSpans();
  const config = parseConfig(args, { shim: 'containerd-shim-boxship-v2' });
  const log = createLogger({ name: 'boxship-containerd', level: config.logLevel });
  mkdirSync(config.root, { recursive: true, mode: 0o711 });
  const lock = tryLockFile(join(config.root, 'lock'));
  if (lock === undefined)
    throw new BoxshipError('conflict', `another containerd owns ${config.root}: stop it, or use another --root`);
  process.umask(0o022);
  const containerd = await Containerd.open({ ...containerdOptions(config), log });
  const server = await serveContainerd(containerd, { address: config.address, log });
  installShutdown({
    log,
    budgetMs: 10_000,
    stop: async () => {
      await server[Symbol.asyncDispose]();
      await containerd[Symbol.asyncDispose]();
    },
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`boxship-containerd: ${messageOf(error)}\n`);
  process.exit(1);
});
