/** The contract in process: the controller works in this process, which moves into the namespace of a host of its own. */
import { join } from 'node:path';
import { createController } from '../src/index.ts';
import { networkSuite } from '../src/testsuite/driver.ts';
import { enterNamespace } from '../src/testsuite/enter.ts';
import { TestHost } from '../src/testsuite/test-host.ts';

networkSuite('in process', async () => {
  const host = new TestHost();
  const away = enterNamespace(host.namespace);
  const runDirectory = join(host.directory, 'run');
  const controller = await createController({
    stateDir: join(host.directory, 'state'),
    runDir: runDirectory,
    instanceId: 'local',
  });
  return {
    host,
    controller,
    runDirectory,
    async close() {
      await controller[Symbol.asyncDispose]();
      away[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
    },
  };
});
