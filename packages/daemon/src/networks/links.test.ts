import { describe, expect, it } from 'vitest';
import { variablesOf } from './links.ts';

describe('variables of a link', () => {
  it('tell address, ports, ranges of ports, name, and the environment without what means nothing elsewhere', () => {
    const variables = variablesOf({
      alias: 'my-db',
      name: '/web/my-db',
      address: '172.17.0.2',
      ports: [
        { port: 80, protocol: 'tcp' },
        { port: 53, protocol: 'udp' },
        { port: 8001, protocol: 'tcp' },
        { port: 8000, protocol: 'tcp' },
      ],
      env: ['FOO=bar=baz', 'HOME=/h', 'PATH=/x', 'EMPTY=', 'odd'],
    });
    expect(variables.sort()).toEqual([
      'MY_DB_ENV_EMPTY=',
      'MY_DB_ENV_FOO=bar=baz',
      'MY_DB_NAME=/web/my-db',
      'MY_DB_PORT=udp://172.17.0.2:53',
      'MY_DB_PORT_53_UDP=udp://172.17.0.2:53',
      'MY_DB_PORT_53_UDP_ADDR=172.17.0.2',
      'MY_DB_PORT_53_UDP_PORT=53',
      'MY_DB_PORT_53_UDP_PROTO=udp',
      'MY_DB_PORT_8000_TCP=tcp://172.17.0.2:8000',
      'MY_DB_PORT_8000_TCP_ADDR=172.17.0.2',
      'MY_DB_PORT_8000_TCP_END=tcp://172.17.0.2:8001',
      'MY_DB_PORT_8000_TCP_PORT=8000',
      'MY_DB_PORT_8000_TCP_PORT_END=8001',
      'MY_DB_PORT_8000_TCP_PORT_START=8000',
      'MY_DB_PORT_8000_TCP_PROTO=tcp',
      'MY_DB_PORT_8000_TCP_START=tcp://172.17.0.2:8000',
      'MY_DB_PORT_8001_TCP=tcp://172.17.0.2:8001',
      'MY_DB_PORT_8001_TCP_ADDR=172.17.0.2',
      'MY_DB_PORT_8001_TCP_PORT=8001',
      'MY_DB_PORT_8001_TCP_PROTO=tcp',
      'MY_DB_PORT_80_TCP=tcp://172.17.0.2:80',
      'MY_DB_PORT_80_TCP_ADDR=172.17.0.2',
      'MY_DB_PORT_80_TCP_PORT=80',
      'MY_DB_PORT_80_TCP_PROTO=tcp',
    ]);
  });
});
