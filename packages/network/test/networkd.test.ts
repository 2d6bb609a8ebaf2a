/** The contract through the wire: `boxship-networkd` as a process in a host of its own, our client before it. */
import { networkSuite } from '../src/testsuite/driver.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { TestHost } from '../src/testsuite/test-host.ts';

networkSuite('boxship-networkd over a wire', async () => {
  const host = new TestHost();
  const networkd = new TestNetworkd(host, 'suite');
  networkd.start();
  return {
    host,
    controller: networkd.controller,
    runDirectory: networkd.runDirectory,
    async close() {
      await networkd.kill('SIGTERM');
      networkd[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
    },
  };
});
