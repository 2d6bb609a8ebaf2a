/**
 * boxship-logger: the logging program that a foreign shim starts for our `binary://` URI. Reads the container's output from
 * descriptors 3 and 4, says on 5 that it is ready; its arguments are the pairs of the URI's query. The same code runs
 * inside our own shim.
 */
import { closeSync } from 'node:fs';
import { messageOf, silentLogger } from '@boxship/base';
import { readNow, setNonBlocking, sharedPoller } from '@boxship/linux';
import { AttachServer } from './io/attach-server.ts';
import { LogTarget } from './io/log-step.ts';
import { Pump } from './io/pump.ts';
import type { OutputSource } from './io/source.ts';
import type { StreamName } from './log/format.ts';
import { parseLoggerOptions } from './log/logging-uri.ts';
import { openLog } from './log/open-log.ts';

const STDOUT_FD = 3;
const STDERR_FD = 4;
const READY_FD = 5;

async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const pairs = new Map<string, string>();
  for (let i = 0; i + 1 < argv.length; i += 2) pairs.set(argv[i] ?? '', argv[i + 1] ?? '');
  const options = parseLoggerOptions(pairs);
  const attach =
    options.attachPath === undefined ? undefined : await AttachServer.listen(options.attachPath, silentLogger);
  const target = new LogTarget({ writer: openLog(options, silentLogger), spool: undefined, attach, log: silentLogger });
  const poller = sharedPoller();
  const pump = (stream: StreamName, fd: number) => {
    const source = inherited(fd);
    return new Pump(source, target.step(stream, source), poller, silentLogger, 'discard');
  };
  const pumps = [pump('stdout', STDOUT_FD), pump('stderr', STDERR_FD)];
  for (const each of pumps) each.start();
  closeSync(READY_FD);
  // the end of the container's output ends this process, not a signal: what is in the pipes is still to be written
  process.on('SIGTERM', () => {});
  await Promise.all(pumps.map((each) => each.ended));
}

function inherited(fd: number): OutputSource {
  setNonBlocking(fd, true);
  return {
    fd,
    kind: 'pipe',
    read: (buffer) => readNow(fd, buffer),
    expectEnd() {},
    close() {
      sharedPoller().remove(fd);
      closeSync(fd);
    },
  };
}

main().catch((error: unknown) => {
  process.stderr.write(`boxship-logger: ${messageOf(error)}\n`);
  process.exit(1);
});
