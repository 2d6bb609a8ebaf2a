/** `setup`: brings the host's packages that the engine needs, with `--tests` also those that the tests drive. */
import { messageOf } from '@boxship/base';
import { preflight } from './host/preflight.ts';
import { engineTools, testTools } from './host/tools.ts';

try {
  const isForTests = process.argv.includes('--tests');
  preflight({
    tools: isForTests ? [...engineTools, ...testTools] : engineTools,
    print: (line) => process.stdout.write(`${line}\n`),
    keepServicesStopped: isForTests,
  });
} catch (error) {
  process.stderr.write(`setup: ${messageOf(error)}\n`);
  process.exit(1);
}
