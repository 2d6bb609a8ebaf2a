/** The program `boxshipd`. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installShutdown, messageOf, recordSpans, writeFileAtomicSync } from '@boxship/base';
import { createLogger } from '@boxship/base/pino';
import { connect } from '@boxship/containerd-client';
import { tryLockFile } from '@boxship/linux';
import { connectController } from '@boxship/network';
import { type DaemonConfig, parseDaemonConfig } from './config.ts';
import { type Daemon, startDaemon } from './daemon.ts';

async function main(): Promise<void> {
  process.umask(0o077);
  recordSpans();
  let config: DaemonConfig;
  try {
    config = parseDaemonConfig(process.argv.slice(2), {
      loggerPath: fileURLToPath(new URL('../../shim/dist/boxship-logger', import.meta.url)),
    });
  } catch (error) {
    process.stderr.write(`boxshipd: ${messageOf(error)}\n`);
    process.exitCode = 125;
    return;
  }
  const log = createLogger({ name: 'boxshipd', level: config.logLevel });
  mkdirSync(config.dataRoot, { recursive: true, mode: 0o710 });
  // the kernel gives the lock back when the process dies; a pid file cannot
  if (tryLockFile(join(config.dataRoot, 'boxshipd.lock')) === undefined) {
    log.error('another daemon uses this data root', { dataRoot: config.dataRoot });
    process.exitCode = 1;
    return;
  }
  const containerd = connect(config.containerdAddress, { namespace: config.containerdNamespace });
  const network = config.networkAddress === '' ? undefined : connectController(config.networkAddress);
  let daemon: Daemon;
  try {
    daemon = await startDaemon(config, { log, containerd, network });
  } catch (error) {
    log.error('daemon did not start', { error });
    process.exit(1);
  }
  if (config.pidfile !== '') writeFileAtomicSync(config.pidfile, `${process.pid}\n`);
  installShutdown({
    log,
    budgetMs: config.shutdownTimeoutSeconds * 1000,
    stop: () => daemon[Symbol.asyncDispose]() as Promise<void>,
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`boxshipd: ${messageOf(error)}\n`);
  process.exit(70);
});
