/** The contract on networks of the overlay driver: what holds on one host holds on a cluster. */
import { networkSuite } from '../src/testsuite/driver.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { etcdUrl, TestCluster } from '../src/testsuite/test-cluster.ts';

networkSuite('overlay networks', async () => {
  const cluster = new TestCluster(1);
  await cluster.startEtcd();
  const [host] = cluster.hosts;
  if (host === undefined) throw new Error('a cluster has a host');
  const networkd = new TestNetworkd(host, 'suite', ['--cluster-store', etcdUrl, '--cluster-advertise', 'lan0']);
  networkd.start();
  return {
    host,
    driver: 'overlay',
    controller: networkd.controller,
    runDirectory: networkd.runDirectory,
    async close() {
      await networkd.kill('SIGTERM');
      networkd[Symbol.dispose]();
      await cluster[Symbol.asyncDispose]();
    },
  };
});
