/** `ctr run --cni` with our CNI plugin, on our containerd and on Debian's; our engine with Debian's CNI plugins. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { type EngineUnderTest, importBusybox, startEngineUnderTest } from '../harness/engine-under-test.ts';
import { startContainerd } from '../harness/peers.ts';
import { SandboxHost } from '../harness/sandbox-host.ts';

let host: SandboxHost;
let engine: EngineUnderTest;
const image = 'docker.io/library/busybox:latest';

beforeAll(async () => {
  host = new SandboxHost();
  engine = await startEngineUnderTest(host);
  await importBusybox(host, engine);
  await engine.mustDocker(['save', '-o', host.path('busybox-image.tar'), 'busybox']);
  for (const directory of ['etc/cni/net.d', 'work', 'plugins']) mkdirSync(host.path(directory), { recursive: true });
  symlinkSync(programPath('boxship-cni'), host.path('plugins', 'boxship-cni'));
  const plugin = {
    type: 'boxship-cni',
    socket: `${engine.execRoot}/network/networkd.sock`,
    ipam: { subnet: '10.80.0.0/24' },
  };
  const list = { cniVersion: '1.0.0', name: 'pods', plugins: [plugin] };
  writeFileSync(host.path('etc/cni/net.d/10-boxship.conflist'), JSON.stringify(list));
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

/** The places that ctr looks at are fixed: it sees ours in a mount namespace of its own. */
const mounts = `mount -t overlay overlay -o lowerdir=/etc,upperdir="$1/etc",workdir="$1/work" /etc &&
mount -t tmpfs none /opt && mkdir -p /opt/cni && ln -s "$1/plugins" /opt/cni/bin && shift && exec ctr "$@"`;
const ctr = (address: string, ...args: readonly string[]) =>
  host.run('unshare', [
    '-m',
    'sh',
    '-c',
    mounts,
    'sh',
    host.directory,
    '--address',
    address,
    '--namespace',
    'test',
    ...args,
  ]);

describe('ctr run --cni with boxship-cni', () => {
  it.each([
    ['boxship-containerd', () => Promise.resolve(engine.containerdSocket)],
    ["Debian's containerd", async () => (await startContainerd(host)).socket],
  ])('on %s', async (name, start) => {
    const address = await start();
    const must = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await ctr(address, ...args);
      expect([code, code === 0 ? '' : stderr]).toEqual([0, '']);
      return stdout;
    };
    await must('images', 'import', '--base-name', 'busybox', host.path('busybox-image.tar'));
    const script = 'ip -4 -o addr show eth0; ping -c 1 -W 2 10.80.0.1; ip route';
    const id = name.startsWith('boxship') ? 'ours' : 'theirs';
    const output = await must('run', '--rm', '--cni', image, id, 'sh', '-c', script);
    expect(output).toMatch(/eth0 +inet 10\.80\.0\.\d+\/24/);
    expect(output).toContain('1 packets received');
    expect(output).toContain('default via 10.80.0.1 dev eth0');
    // DEL: nothing is attached any more, and the engine did not take it for one of its containers
    const { stdout } = await host.run('ip', ['-br', 'link', 'show', 'master', await bridgeOf('pods')]);
    expect(stdout).toBe('');
    await must('images', 'rm', image);
  });
});

async function bridgeOf(network: string): Promise<string> {
  const id = await engine.mustDocker(['network', 'inspect', '-f', '{{.Id}}', network]);
  return `br-${id.slice(0, 12)}`;
}
