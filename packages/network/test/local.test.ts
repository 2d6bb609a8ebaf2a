/** The contract in process: the controller works in this process, which moves into the namespace of a host of its own. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { check, declare } from '@boxship/linux';
import { createController } from '../src/index.ts';
import { networkSuite } from '../src/testsuite/driver.ts';
import { TestHost } from '../src/testsuite/test-host.ts';

const setNamespace = declare('int setns(int fd, int type)');
const CLONE_NEWNET = 0x40000000;

function enter(path: string): void {
  const fd = openSync(path, 'r');
  check(setNamespace(fd, CLONE_NEWNET), 'setns', path);
  closeSync(fd);
}

networkSuite('in process', async () => {
  const host = new TestHost();
  const home = openSync('/proc/thread-self/ns/net', 'r');
  enter(host.namespace);
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
      enter(`/proc/self/fd/${home}`);
      closeSync(home);
      await host[Symbol.asyncDispose]();
    },
  };
});
