/** `setup`: brings the host's packages that the engine needs, with `--tests` also those that the tests drive. */
import { messageOf } from '@boxship/base';
import { fetchNewerPeers } from './host/newer-peers.ts';
import { preflight } from './host/preflight.ts';
import { engineTools, testTools } from './host/tools.ts';

try {
  const isForTests = process.argv.includes('--tests');
  const print = (line: string) => void process.stdout.write(`${line}\n`);
  preflight({
    tools: isForTests ? [...engineTools, ...testTools] : engineTools,
    print,
    keepServicesStopped: isForTests,
  });
  if (isForTests) fetchNewerPeers(print);
} catch (error) {
  process.stderr.write(`setup: ${messageOf(error)}\n`);
  process.exit(1);
}
