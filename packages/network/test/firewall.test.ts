/** The firewall contract on each driver. */
import { firewallSuite } from '../src/testsuite/firewall.ts';

firewallSuite('nftables', []);
firewallSuite('iptables', ['--firewall-backend', 'iptables']);
