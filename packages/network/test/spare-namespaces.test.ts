/** The namespace that is kept ready: handed out once, as fresh as a new one, too old after a while, and gone with its process. */
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { poll, randomId } from '@boxship/base';
import { findLink, newVeth, runInNetworkNamespace } from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { SpareNamespaces } from '../src/sandboxes/spare-namespaces.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { TestHost } from '../src/testsuite/test-host.ts';

/** Network namespaces that a process holds by descriptors: descriptor and name (`net:[inode]`). */
function heldBy(process: number | 'self'): [fd: string, name: string][] {
  const directory = `/proc/${process}/fd`;
  return readdirSync(directory).flatMap((fd): [string, string][] => {
    try {
      const name = readlinkSync(join(directory, fd));
      return name.startsWith('net:[') ? [[fd, name]] : [];
    } catch {
      return []; // that of the listing itself
    }
  });
}

/** Every parameter of a namespace, and its links, addresses and routes. */
function everythingIn(fd: number): Record<string, string> {
  return runInNetworkNamespace(fd, () => {
    const found: Record<string, string> = {};
    const walk = (directory: string): void => {
      for (const entry of readdirSync(directory, { withFileTypes: true })) {
        const path = join(directory, entry.name);
        if (entry.isDirectory()) walk(path);
        // of the host as a whole, changing by itself; and some can only be written
        else if (!volatile.test(path) && (statSync(path).mode & 0o444) !== 0) found[path] = readFileSync(path, 'utf8');
      }
    };
    for (const family of ['core', 'ipv4', 'ipv6', 'unix']) walk(`/proc/sys/net/${family}`);
    for (const table of ['dev', 'route', 'fib_trie', 'if_inet6', 'ipv6_route'])
      found[table] = readFileSync(`/proc/thread-self/net/${table}`, 'utf8');
    return found;
  });
}

const volatile = /stable_secret|netdev_rss_key|tcp_mem|udp_mem|tcp_fastopen_key/;

describe('in this process', () => {
  let spares: SpareNamespaces;
  beforeEach(() => {
    vi.useFakeTimers();
    spares = new SpareNamespaces();
  });
  afterEach(() => {
    spares[Symbol.dispose]();
    vi.useRealTimers();
  });
  const give = ({ fd, route }: ReturnType<SpareNamespaces['take']>): void => {
    route[Symbol.dispose]();
    closeSync(fd);
  };

  test('one is made when it is quiet, handed out once, and is as fresh as a new one', () => {
    const before = heldBy('self').length;
    const first = spares.take();
    expect(heldBy('self').length).toBe(before + 1);
    vi.advanceTimersByTime(100);
    const ready = heldBy('self').at(-1)?.[1];
    expect(heldBy('self').length).toBe(before + 2);
    const spare = spares.take();
    expect(readlinkSync(`/proc/self/fd/${spare.fd}`)).toBe(ready);
    expect(heldBy('self').length).toBe(before + 2);
    // none is left: this one is new
    const fresh = spares.take();
    expect(new Set([first, spare, fresh].map(({ fd }) => readlinkSync(`/proc/self/fd/${fd}`))).size).toBe(3);
    const expected = everythingIn(fresh.fd);
    expect(Object.keys(expected).length).toBeGreaterThan(300);
    expect(expected['dev']?.match(/^ *\w+:/gm)).toEqual(['    lo:']);
    expect(everythingIn(spare.fd)).toEqual(expected);
    for (const taken of [first, spare, fresh]) give(taken);
  });

  test('one that nobody asks for is given up, and the next that is asked for is new', () => {
    const before = heldBy('self').length;
    give(spares.take());
    vi.advanceTimersByTime(100);
    expect(heldBy('self').length).toBe(before + 1);
    vi.advanceTimersByTime(10_000);
    expect(heldBy('self').length).toBe(before);
    give(spares.take());
    vi.advanceTimersByTime(100);
    spares[Symbol.dispose]();
    expect(heldBy('self').length).toBe(before);
  });
});

test('the spare of a networkd that was killed is gone, and what was in it too', async () => {
  await using host = new TestHost();
  using networkd = new TestNetworkd(host, 'one');
  networkd.start();
  const { controller } = networkd;
  const make = (id: string) =>
    controller.createSandbox({
      ...{ id, containerName: 'web', hostname: 'web', domainname: '', endpoints: [{ network: 'bridge' }] },
    });
  const first = randomId();
  await make(first);
  const pid = networkd.pid ?? 0;
  const home = `net:[${statSync(host.namespace).ino}]`;
  const spare = await poll({ everyMs: 5, timeoutMs: 5000 }, () => heldBy(pid).find(([, name]) => name !== home)?.[0]);
  // a witness: the end in the host goes when the namespace of the other end does
  const fd = openSync(`/proc/${pid}/fd/${spare}`, 'r');
  host.inside(host.namespace, (socket) =>
    socket.execute(newVeth({ name: 'witness', peer: { name: 'w', namespaceFd: fd } })),
  );
  closeSync(fd);
  const isThere = () => host.inside(host.namespace, (socket) => findLink(socket, 'witness') !== undefined);
  expect(isThere()).toBe(true);
  await networkd.kill();
  expect(await poll({ everyMs: 20, timeoutMs: 5000 }, () => !isThere() || undefined)).toBe(true);

  networkd.start();
  await controller.removeSandbox(first);
  const second = randomId();
  const { namespacePath } = await make(second);
  expect(await host.run(namespacePath, 'ip', '-br', 'link')).not.toContain('w@');
  await controller.removeSandbox(second);
  await poll({ everyMs: 20, timeoutMs: 5000 }, () => {
    const left = host.census([networkd.runDirectory]).filter((line) => /endpoint|netns/.test(line));
    return left.length === 0 || undefined;
  });
  expect(host.census([networkd.runDirectory]).filter((line) => /endpoint|netns/.test(line))).toEqual([]);
});
