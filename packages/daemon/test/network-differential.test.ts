/** The docker CLI's network commands on the reference daemon and on ours: output, errors and exit codes must be the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandResult, missing, startEngine, type TestEngine } from './harness.ts';
import { type Reference, startReference } from './reference.ts';

const reason = missing('docker', 'dockerd');

/** What is different by its nature: ids, times, names of devices and directories. */
const plain = (text: string): string =>
  text
    .replaceAll(/\b[0-9a-f]{64}\b/g, 'ID')
    .replaceAll(/\b[0-9a-f]{12}\b/g, 'SHORT')
    .replaceAll(/\d{4}-\d\d-\d\d[T ][\d:.]+(Z| [+-]\d{4} UTC)/g, 'TIME')
    .replaceAll(/docker0|boxship0/g, 'BRIDGE')
    // ours is always told; the reference tells it where it was given, or after a restart
    .replaceAll(/,\s*"Gateway": "[^"]*"/g, '')
    .replaceAll('"IPAMConfig":{}', '"IPAMConfig":null')
    .replaceAll('Invalid filter', 'invalid filter')
    // the reference keeps links in a map: in any order
    .replaceAll(/(?<=\[)"\/[^"[\]]+:[^"]+"(,"\/[^"[\]]+:[^"]+")+(?=\])/g, (links) => links.split(',').sort().join(','))
    // ours answers with authority, and where the reference is silent
    .replaceAll('Non-authoritative answer:\n', '')
    .replaceAll(/;; connection timed out.*|Server:\t.*\nAddress:\t.*\n\n\*\* server can't find .*: SERVFAIL/g, 'FAILED')
    .replaceAll(/\/tmp\/boxshipd-[a-z]+-\w+\/(exec|network-run)/g, 'DIR');

const settings =
  '{{range $name, $e := .NetworkSettings.Networks}}{{$name}} {{json $e}} {{end}}{{json .HostConfig.Links}} {{.NetworkSettings.IPAddress}} {{.NetworkSettings.MacAddress}} {{json .NetworkSettings.Ports}}';

const run = (name: string, ...flags: string[]) => ['run', '-d', '--name', name, ...flags, 'busybox', 'sleep', '1000'];

const groups: readonly (readonly [string, readonly (readonly string[])[]])[] = [
  [
    'predefined networks',
    [
      ['network', 'inspect', 'bridge'],
      ['network', 'inspect', 'host', 'none'],
      ['network', 'ls', '--format', '{{.Name}} {{.Driver}} {{.Scope}} {{.IPv6}} {{.Internal}} {{.Labels}}'],
      ['network', 'ls', '--filter', 'type=builtin', '--format', '{{.Name}}'],
      ['network', 'ls', '--filter', 'driver=null', '--format', '{{.Name}}'],
      ['network', 'ls', '--filter', 'nosuch=1'],
      ['network', 'ls', '--filter', 'type=nosuch'],
      ['network', 'ls', '--filter', 'scope=swarm', '-q'],
      ['network', 'rm', 'bridge'],
      ['network', 'rm', 'nosuch'],
      ['network', 'inspect', 'nosuch'],
      ['network', 'create', 'bridge'],
      ['network', 'create', 'host'],
      ['network', 'create', '-d', 'host', 'mine'],
      ['network', 'create', '-d', 'null', 'mine'],
      ['network', 'connect', 'nosuch', 'nosuch'],
      ['network', 'disconnect', 'nosuch', 'nosuch'],
    ],
  ],
  [
    'making networks',
    [
      ['network', 'create', 'first'],
      ['network', 'inspect', 'first'],
      ['network', 'create', 'first'],
      ['network', 'create', '--subnet', '10.50.0.0/16', '--ip-range', '10.50.5.0/24', '--gateway', '10.50.5.254', '--label', 'a=b', '--attachable', 'full'],
      ['network', 'inspect', 'full'],
      ['network', 'create', '--subnet', '10.51.0.0/24', '--aux-address', 'a=10.51.0.5', '--aux-address', 'b=10.51.0.6', '--opt', 'com.docker.network.bridge.name=br-aux', 'aux'],
      ['network', 'inspect', 'aux'],
      ['network', 'create', '--internal', '--subnet', '10.52.0.0/24', 'inner'],
      ['network', 'inspect', 'inner'],
      ['network', 'create', '--ipv6', '--subnet', '10.53.0.0/24', '--subnet', 'fd53::/64', 'dual'],
      ['network', 'inspect', 'dual'],
      ['network', 'create', '--subnet', '10.50.3.0/24', 'overlap'],
      ['network', 'create', '--subnet', '10.55.0.0/33', 'bad'],
      ['network', 'create', '--subnet', '10.55.0.0', 'bad'],
      ['network', 'create', '--subnet', '10.55.0.0/24', '--gateway', '10.56.0.1', 'bad'],
      ['network', 'create', '--subnet', '10.55.0.0/24', '--gateway', 'x', 'bad'],
      ['network', 'create', '--subnet', '10.55.0.0/24', '--ip-range', '10.56.0.0/25', 'bad'],
      ['network', 'create', '--subnet', '10.55.0.0/24', '--aux-address', 'a=10.56.0.1', 'bad'],
      ['network', 'create', '--gateway', '10.55.0.1', 'bad'],
      ['network', 'create', '--ip-range', '10.55.0.0/24', 'bad'],
      ['network', 'create', '--subnet', '10.55.0.0/24', '--subnet', '10.55.0.0/25', 'bad'],
      ['network', 'create', '--subnet', '10.55.0.0/24', '--subnet', '10.56.0.0/24', 'twice'],
      ['network', 'rm', 'twice'],
      ['network', 'create', '--opt', 'com.docker.network.bridge.enable_icc=maybe', 'bad'],
      ['network', 'create', '--opt', 'com.docker.network.driver.mtu=x', 'bad'],
      ['network', 'create', '--opt', 'com.docker.network.bridge.name=br-aux', 'bad'],
      ['network', 'create', '--config-only', '--subnet', '10.57.0.0/24', '--label', 'c=d', 'config'],
      ['network', 'inspect', 'config'],
      ['network', 'create', '--config-from', 'config', 'configured'],
      ['network', 'inspect', 'configured'],
      ['network', 'create', '--config-from', 'nosuch', 'bad'],
      ['network', 'create', '--config-from', 'first', 'bad'],
      ['network', 'create', '--config-from', 'config', '--subnet', '10.58.0.0/24', 'bad'],
      ['network', 'rm', 'config'],
      ['network', 'ls', '--filter', 'label=a=b', '--format', '{{.Name}}'],
      ['network', 'ls', '--filter', 'name=fir', '--format', '{{.Name}}'],
      ['network', 'rm', 'configured', 'config', 'nosuch'],
    ],
  ],
  [
    'containers on networks',
    [
      run('one', '--network', 'full', '--ip', '10.50.9.9', '--network-alias', 'uno', '-p', '18080:80', '--expose', '90'),
      ['inspect', '-f', settings, 'one'],
      ['network', 'inspect', 'full'],
      run('two', '--network', 'dual', '--ip6', 'fd53::99'),
      ['inspect', '-f', settings, 'two'],
      ['network', 'connect', 'full', 'two', '--alias', 'dos', '--link', 'one:eins', '--ip', '10.50.9.8'],
      ['inspect', '-f', settings, 'two'],
      ['exec', 'two', 'ip', 'route'],
      ['exec', 'two', 'nslookup', '-type=a', 'uno'],
      ['exec', 'two', 'nslookup', '-type=a', 'eins'],
      ['exec', 'one', 'nslookup', '-type=a', 'dos'],
      ['exec', 'one', 'nslookup', '-type=a', 'two.full'],
      ['exec', 'one', 'nslookup', '-type=a', 'two.dual'],
      ['exec', 'two', 'cat', '/etc/hosts'],
      ['network', 'connect', 'full', 'two'],
      ['network', 'connect', 'none', 'two'],
      ['network', 'connect', 'host', 'two'],
      ['network', 'connect', '--ip', '10.60.0.1', 'full', 'nosuch'],
      ['network', 'rm', 'full'],
      ['network', 'disconnect', 'first', 'two'],
      ['network', 'disconnect', 'full', 'two'],
      ['inspect', '-f', settings, 'two'],
      ['network', 'disconnect', '-f', 'full', 'two'],
      ['network', 'disconnect', 'host', 'two'],
      run('taken', '--network', 'full', '--ip', '10.50.9.9'),
      run('outside', '--network', 'full', '--ip', '10.61.9.9'),
      run('default', '--ip', '172.17.0.9'),
      run('alias', '--network-alias', 'x'),
      run('unknown', '--network', 'nosuch'),
      run('badmac', '--network', 'first', '--mac-address', 'xx'),
      run('badip', '--network', 'first', '--ip', '1.2.3'),
      run('auto', '--network', 'first', '--ip', '172.18.0.77'),
      run('noip', '--network', 'none'),
      ['inspect', '-f', settings, 'noip'],
      ['network', 'connect', 'full', 'noip'],
      run('shared', '--network', 'container:one'),
      ['inspect', '-f', settings, 'shared'],
      ['network', 'connect', 'first', 'shared'],
      run('onhost', '--network', 'host'),
      ['inspect', '-f', settings, 'onhost'],
      ['network', 'connect', 'first', 'onhost'],
      ['network', 'disconnect', 'host', 'onhost'],
      ['create', '--name', 'made', 'busybox', 'sleep', '1000'],
      ['inspect', '-f', settings, 'made'],
      ['network', 'connect', '--alias', 'm', 'full', 'made'],
      ['network', 'disconnect', 'bridge', 'made'],
      ['start', 'made'],
      ['inspect', '-f', settings, 'made'],
      ['network', 'prune', '-f', '--filter', 'label=nosuch'],
      ['network', 'ls', '--format', '{{.Name}}'],
    ],
  ],
  [
    'links on the default bridge',
    [
      run('db', '--expose', '80', '--expose', '8000-8002', '--expose', '53/udp', '-e', 'FOO=bar', '-e', 'HOME=/h'),
      run('web', '--link', 'db:my-db', '--link', 'db'),
      ['inspect', '-f', settings, 'web'],
      ['exec', 'web', 'sh', '-c', '(env | grep -v HOSTNAME; cat /etc/hosts) | sort'],
      ['ps', '--no-trunc', '--filter', 'name=db', '--format', '{{.Names}}'],
      ['create', '--link', 'nosuch:x', 'busybox', 'true'],
      ['create', '--name', 'idle', 'busybox', 'true'],
      run('cut', '--link', 'idle:x'),
      run('elsewhere', '--link', 'one:x'),
      run('hosted', '--link', 'onhost:x'),
      ['run', '--rm', '--network', 'host', '--link', 'db:x', 'busybox', 'true'],
      ['run', '--rm', '--network', 'none', '--link', 'db:x', 'busybox', 'cat', '/etc/hosts'],
      ['rename', 'db', 'database'],
      ['inspect', '-f', settings, 'web'],
    ],
  ],
]; // biome-ignore format: commands

describe.skipIf(reason !== undefined)('network commands against the reference daemon', () => {
  let ours: TestEngine;
  let reference: Reference;
  beforeAll(async () => {
    [ours, reference] = await Promise.all([startEngine({ hasNetwork: true }), startReference()]);
  });
  afterAll(async () => {
    await reference[Symbol.asyncDispose]();
    await ours[Symbol.asyncDispose]();
  });

  it.each(groups)(
    '%s',
    async (_name, commands) => {
      for (const command of commands) {
        const results = await Promise.all([
          reference.docker(...command),
          ours.dockerWith({ apiVersion: '1.41' }, ...command),
        ]);
        const [theirs, own] = results.map(({ code, stdout, stderr }: CommandResult) => ({
          command: command.join(' '),
          code,
          // what is wrong with a network is said at create here, at start there
          stdout: command[0] === 'run' && code !== 0 ? '' : plain(stdout),
          stderr: plain(stderr),
        }));
        expect.soft(own).toEqual(theirs);
      }
    },
    120_000,
  );
});
