import { network as wire } from '@boxship/api';
import { expect, test } from 'vitest';
import type { Sandbox } from '../controller.ts';
import { sandboxFromWire, sandboxToWire } from './messages.ts';

test('a sandbox crosses the wire unchanged, what was not given included', () => {
  const sandbox: Sandbox = {
    id: 'a',
    namespacePath: '/run/a',
    ports: [{ protocol: 'udp', containerPort: 53, hostIp: '::', hostPort: 5300 }],
    endpoints: [
      {
        id: 'e',
        networkId: 'n',
        networkName: 'bridge',
        interfaceName: 'eth0',
        macAddress: '02:42:ac:11:00:02',
        ipv4Address: '172.17.0.2',
        ipv4PrefixLength: 16,
        ipv4Gateway: '172.17.0.1',
        ipv6Address: '',
        ipv6PrefixLength: 0,
        ipv6Gateway: '',
        dnsNames: ['web'],
        spec: { network: 'bridge', gatewayPriority: -5, aliases: ['w'] },
      },
    ],
    spec: {
      id: 'a',
      containerName: 'web',
      hostname: 'a',
      domainname: '',
      files: { hostsPath: '/h' },
      endpoints: [{ network: 'bridge' }],
      ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 }],
    },
  };
  const bytes = wire.Sandbox.encode(sandboxToWire(sandbox)).finish();
  expect(sandboxFromWire(wire.Sandbox.decode(bytes))).toEqual(sandbox);
});
