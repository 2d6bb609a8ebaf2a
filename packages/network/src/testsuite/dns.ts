/** What names promise: who is found from where, and what is asked of other servers. Asked with `dig`, answered upstream by dnsmasq. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { expect, test } from 'vitest';
import type { Sandbox } from '../controller.ts';
import { addressOf, hostsOf, type Suite } from './suite.ts';
import { neighbourAddress } from './test-host.ts';

interface Dig {
  readonly status: string;
  readonly flags: readonly string[];
  /** `NAME TTL IN TYPE DATA`, the data alone. */
  readonly data: readonly string[];
  readonly text: string;
}

export function dnsTests(suite: Suite): void {
  const dig = async (from: Sandbox, ...args: readonly string[]): Promise<Dig> => {
    const text = await suite.host.run(from.namespacePath, 'dig', '+tries=1', '+time=4', '@127.0.0.11', ...args);
    const answer = /;; ANSWER SECTION:\n([\s\S]*?)\n\n/.exec(text)?.[1] ?? '';
    return {
      status: /status: (\w+)/.exec(text)?.[1] ?? '',
      flags: /flags: ([a-z ]+)/.exec(text)?.[1]?.split(' ') ?? [],
      data: answer === '' ? [] : answer.split('\n').map((line) => line.split(/\s+/).slice(4).join(' ')),
      text,
    };
  };
  const network = async (name: string, options: { isInternal?: boolean; enableIPv6?: boolean } = {}) =>
    await suite.controller.createNetwork({ name, driver: suite.driver, ...options });
  const join_ = (name: string, network: string, aliases: readonly string[] = [], links: readonly string[] = []) =>
    suite.sandbox(name, { endpoints: [{ network, aliases, links }], hostname: `${name}-host` });

  test('a member is found by name, alias, short id, host name and with its network, in any case', async () => {
    await network('app');
    const web = await join_('web', 'app');
    const db = await join_('db', 'app', ['postgres']);
    for (const name of ['db', 'postgres', db.id.slice(0, 12), 'db-host', 'db.app', 'POSTGRES.App', 'Db.'])
      expect(await dig(web, name)).toMatchObject({ status: 'NOERROR', data: [addressOf(db)] });
    expect((await dig(web, 'web')).data).toEqual([addressOf(web)]);
    expect((await dig(web, '+tcp', 'db')).data).toEqual([addressOf(db)]);
    const { flags, text } = await dig(web, 'PostGres');
    expect(flags).toEqual(expect.arrayContaining(['qr', 'aa', 'rd', 'ra']));
    expect(text).toMatch(/^PostGres\.\s+\d+\s+IN\s+A\s/m); // the case of the question
    expect((await dig(web, '-x', addressOf(db))).data).toEqual(['db.app.']);
    expect(readFileSync(web.spec.files?.resolvConfPath ?? '', 'utf8')).toMatch(
      /^nameserver 127\.0\.0\.11\noptions [^\n]*ndots:\d+\n\n# ExtServers: \[.*\]\n# Overrides: \[\]\n# Option ndots from: \w+\n$/m,
    );
    // names are the resolver's affair alone
    expect(hostsOf(web)).not.toContain(addressOf(db));
  });

  test('every other type of a known name is an empty answer, never the question of a server outside', async () => {
    await network('app');
    const web = await join_('web', 'app');
    for (const type of ['AAAA', 'MX', 'TXT', 'SRV', 'HTTPS'])
      expect(await dig(web, 'web', type)).toMatchObject({ status: 'NOERROR', data: [] });
    // the C library's own way, which takes NXDOMAIN for one family as the end
    expect(await suite.host.run(web.namespacePath, 'busybox', 'nslookup', 'web', '127.0.0.11')).toContain(
      addressOf(web),
    );
  });

  test('members come, go and change networks; their names at once', async () => {
    await network('app');
    await network('back');
    const web = await join_('web', 'app');
    const first = await join_('first', 'app', ['pool']);
    const second = await join_('second', 'app', ['pool']);
    const seen = new Set<string>();
    const both = await poll({ everyMs: 1, timeoutMs: 10_000 }, async () => {
      const { data } = await dig(web, 'pool');
      expect(data.toSorted()).toEqual([addressOf(first), addressOf(second)].toSorted());
      seen.add(data[0] ?? '');
      return seen.size === 2 || undefined;
    });
    expect(both).toBe(true); // each comes first at times
    await suite.controller.removeSandbox(second.id);
    expect((await dig(web, 'pool')).data).toEqual([addressOf(first)]);
    const joined = await suite.controller.connect(web.id, { network: 'back', aliases: ['front'] });
    const far = await join_('far', 'back');
    expect((await dig(web, 'far')).data).toEqual([addressOf(far)]);
    expect((await dig(far, 'front')).data).toEqual([joined.ipv4Address]);
    expect((await dig(first, 'far.back')).status).not.toBe('NOERROR');
    expect((await dig(first, 'front')).status).not.toBe('NOERROR'); // an alias belongs to one network
    await suite.controller.disconnect(web.id, 'back');
    expect((await dig(web, 'far')).status).not.toBe('NOERROR');
    expect((await dig(far, 'web')).status).not.toBe('NOERROR');
  });

  test('the default bridge has no names; joining a network while it runs brings them', async () => {
    const plain = await suite.sandbox('plain');
    expect(readFileSync(plain.spec.files?.resolvConfPath ?? '', 'utf8')).not.toContain('127.0.0.11');
    await network('app');
    const web = await join_('web', 'app');
    const path = plain.spec.files?.resolvConfPath ?? '';
    const { ino } = statSync(path);
    await suite.controller.connect(plain.id, { network: 'app' });
    expect((await dig(plain, 'web')).data).toEqual([addressOf(web)]);
    expect(readFileSync(path, 'utf8')).toMatch(/^nameserver 127\.0\.0\.11$/m);
    expect(statSync(path).ino).toBe(ino);
    // a member of the default bridge alone stays nameless, and unknown there
    const other = await suite.sandbox('other');
    expect((await dig(plain, other.spec.hostname)).status).not.toBe('NOERROR');
  });

  test('a container that is renamed is found by its new name alone', async () => {
    await network('app');
    const web = await join_('web', 'app');
    const db = await join_('db', 'app', ['store']);
    await suite.controller.rename(db.id, 'database');
    expect((await dig(web, 'database')).data).toEqual([addressOf(db)]);
    expect((await dig(web, 'store')).data).toEqual([addressOf(db)]);
    expect((await dig(web, '-x', addressOf(db))).data).toEqual(['database.app.']);
    expect((await dig(web, 'db')).status).not.toBe('NOERROR');
    const { spec, endpoints } = await suite.controller.sandbox(db.id);
    expect([spec.containerName, endpoints[0]?.dnsNames[0]]).toEqual(['database', 'database']);
  });

  test('links and extra hosts are names of one sandbox alone', async () => {
    await network('app');
    const db = await join_('db', 'app');
    const web = await suite.sandbox('web', {
      endpoints: [{ network: 'app', links: ['db:store'] }],
      extraHosts: ['far:10.1.2.3', 'far:fd00::9', 'me:host-gateway'],
    });
    expect((await dig(web, 'store')).data).toEqual([addressOf(db)]);
    expect((await dig(db, 'store')).status).not.toBe('NOERROR');
    expect((await dig(web, 'FAR')).data).toEqual(['10.1.2.3']);
    expect((await dig(web, 'far', 'AAAA')).data).toEqual(['fd00::9']);
    expect((await dig(web, 'me')).data).toEqual(['172.17.0.1']);
  });

  test('both families of a member', async () => {
    await network('six', { enableIPv6: true });
    const a = await join_('a', 'six');
    const b = await join_('b', 'six');
    const address = b.endpoints[0]?.ipv6Address ?? '';
    expect((await dig(a, 'b', 'AAAA')).data).toEqual([address]);
    expect((await dig(a, 'b', 'ANY', '+notcp')).data.toSorted()).toEqual([addressOf(b), address].toSorted());
    expect((await dig(a, '-x', address)).data).toEqual(['b.six.']);
  });

  test('a container may listen on port 53 itself', async () => {
    await network('app');
    const web = await join_('web', 'app');
    const script = `const s=require('dgram').createSocket('udp4');s.bind(53,'0.0.0.0',()=>console.log('ready'))`;
    const child = suite.host.spawn(web.namespacePath, process.execPath, ['-e', script]);
    expect(await new Promise((resolve) => child.stdout?.once('data', (data) => resolve(String(data))))).toBe('ready\n');
    expect((await dig(web, 'web')).data).toEqual([addressOf(web)]);
    child.kill();
  });

  /** dnsmasq on the LAN, with a record of its own and a log of what it was asked. */
  const upstream = async (...options: readonly string[]) => {
    const log = join(suite.host.directory, `dnsmasq-${Date.now()}.log`);
    writeFileSync(log, '');
    const records = Array.from({ length: 60 }, (_, index) => `--host-record=many.example,10.7.0.${index}`);
    const child = suite.host.spawn(suite.host.neighbour, 'dnsmasq', [
      ...['--keep-in-foreground', '--no-resolv', '--no-hosts', '--conf-file=/dev/null', '--pid-file='],
      ...['--bind-interfaces', `--listen-address=${neighbourAddress}`, '--local=/example/', '--user=root'],
      ...['--log-queries', `--log-facility=${log}`, '--host-record=world.example,10.7.7.7', ...records, ...options],
    ]);
    const started = await poll(
      { everyMs: 10, timeoutMs: 5000 },
      () => readFileSync(log, 'utf8').includes('started') || undefined,
    );
    expect(started, 'dnsmasq starts').toBe(true);
    return { child, asked: () => readFileSync(log, 'utf8') };
  };

  test('everything else is asked of the servers given, over UDP and TCP, from inside of the sandbox', async () => {
    const { child, asked } = await upstream();
    await network('app');
    const web = await suite.sandbox('web', { endpoints: [{ network: 'app' }], dns: { servers: [neighbourAddress] } });
    expect((await dig(web, 'World.Example')).data).toEqual(['10.7.7.7']);
    expect((await dig(web, '+tcp', 'world.example')).data).toEqual(['10.7.7.7']);
    expect((await dig(web, 'nobody.example')).status).toBe('NXDOMAIN');
    // too long for 512 bytes: the client learns that, and comes back over TCP
    expect((await dig(web, '+noedns', '+ignore', 'many.example')).flags).toContain('tc');
    expect((await dig(web, '+noedns', 'many.example')).data).toHaveLength(60);
    expect((await dig(web, 'many.example')).data).toHaveLength(60);
    expect((await dig(web, 'web')).data).toEqual([addressOf(web)]);
    expect(asked()).not.toMatch(/query\[\w+\] web /i);
    expect(readFileSync(web.spec.files?.resolvConfPath ?? '', 'utf8')).toContain(
      `# ExtServers: [${neighbourAddress}]\n# Overrides: [nameservers]\n`,
    );
    child.kill();
  });

  test('a dead server is passed over, a silent one not waited for', async () => {
    const { child } = await upstream();
    await network('app');
    // refuses at once (nobody listens there in the sandbox), is silent (no such machine), answers
    const web = await suite.sandbox('web', {
      endpoints: [{ network: 'app' }],
      dns: { servers: ['127.0.0.2', '10.99.0.77', neighbourAddress] },
    });
    expect((await dig(web, 'world.example')).data).toEqual(['10.7.7.7']);
    child.kill();
    const alone = await suite.sandbox('alone', { endpoints: [{ network: 'app' }], dns: { servers: ['127.0.0.2'] } });
    expect((await dig(alone, 'world.example')).status).toBe('SERVFAIL');
  });

  test('a sandbox without a way out asks nobody', async () => {
    const { child, asked } = await upstream();
    await network('inner', { isInternal: true });
    const spec = { endpoints: [{ network: 'inner' }], dns: { servers: [neighbourAddress] } };
    const web = await suite.sandbox('web', spec);
    const db = await suite.sandbox('db', spec);
    expect((await dig(web, 'db')).data).toEqual([addressOf(db)]);
    expect((await dig(web, 'secret.example')).status).toBe('SERVFAIL');
    expect(asked()).not.toContain('secret');
    await suite.controller.connect(web.id, { network: 'bridge' });
    expect((await dig(web, 'world.example')).data).toEqual(['10.7.7.7']);
    child.kill();
  });

  test('with ndots set by the user, unknown single words stay at home', async () => {
    const { child, asked } = await upstream();
    await network('app');
    const web = await suite.sandbox('web', {
      endpoints: [{ network: 'app' }],
      dns: { servers: [neighbourAddress], search: ['example'], options: ['ndots:1'] },
    });
    expect(await dig(web, 'printer')).toMatchObject({ status: 'NOERROR', data: [] });
    expect(asked()).not.toContain('printer');
    expect(readFileSync(web.spec.files?.resolvConfPath ?? '', 'utf8')).toMatch(
      /^search example\nnameserver 127\.0\.0\.11\noptions ndots:1\n\n# .*\n# Overrides: \[nameservers search options\]\n# Option ndots from: override\n$/m,
    );
    child.kill();
  });

  test('nonsense gets an error or nothing, and does no harm', async () => {
    await network('app');
    const web = await join_('web', 'app');
    const send = (hex: string): Promise<string> =>
      suite.host.run(
        web.namespacePath,
        'sh',
        '-c',
        `busybox printf '${hex.replaceAll(/../g, '\\x$&')}' | socat -t 0.3 - UDP:127.0.0.11:53 | od -An -tx1 | tr -d ' \\n'`,
      );
    expect(await send('123401000001000000000000c00c00010001')).toBe('123481810000000000000000'); // a loop
    expect(await send(`1234010000010000000000003f${'61'.repeat(20)}`)).toBe('123481810000000000000000');
    expect(await send('12348180000100000000000000')).toBe(''); // an answer is not answered
    expect(await send('ff')).toBe('');
    expect(await dig(web, '+opcode=notify', 'web')).toMatchObject({ status: 'NOTIMP' });
    expect(await dig(web, '-c', 'CH', 'version.bind', 'TXT')).toMatchObject({ status: 'REFUSED' });
    expect((await dig(web, 'web')).data).toEqual([addressOf(web)]);
  });
}
