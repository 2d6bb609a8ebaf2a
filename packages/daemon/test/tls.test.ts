/** The API over TCP with client certificates. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { missing, startEngine } from './harness.ts';

const reason = missing('docker', 'openssl', 'curl');

it.skipIf(reason !== undefined)('serves those with a certificate, also hijacked streams with half close', async () => {
  await using engine = await startEngine();
  const directory = join(engine.directory, 'tls');
  mkdirSync(directory);
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'ignore' });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '1',
    '-subj',
    '/CN=ca',
    '-keyout',
    'ca-key.pem',
    '-out',
    'ca.pem',
  );
  writeFileSync(join(directory, 'ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  for (const name of ['server', 'client']) {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}-key.pem`,
      '-out',
      `${name}.csr`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca-key.pem',
      '-CAcreateserial',
      '-days',
      '1',
      '-extfile',
      'ext',
      '-out',
      `${name}.pem`,
    );
  }
  await engine.killDaemon('SIGTERM');
  await engine.startDaemon({}, [
    '-H', 'tcp://127.0.0.1:2376', '--tlsverify', '--tlscacert', join(directory, 'ca.pem'),
    '--tlscert', join(directory, 'server.pem'), '--tlskey', join(directory, 'server-key.pem'),
  ]); // biome-ignore format: pairs
  const docker = (input: string, ...args: readonly string[]) =>
    new Promise<string>((resolve) => {
      const flags = ['--tlsverify', '--tlscacert', 'ca.pem', '--tlscert', 'client.pem', '--tlskey', 'client-key.pem'];
      const child = execFile(
        'nsenter',
        [`--net=/run/netns/${engine.netns}`, 'docker', '-H', 'tcp://127.0.0.1:2376', ...flags, ...args],
        { cwd: directory, timeout: 15_000, killSignal: 'SIGKILL' },
        (_error, stdout) => resolve(stdout),
      );
      child.stdin?.end(input);
    });
  await docker('', 'run', '-d', '--name', 'tls', '--network', 'none', 'busybox', 'sleep', '1000');
  expect(await docker('', 'exec', 'tls', 'sh', '-c', 'sleep 0.3; echo late')).toBe('late\n');
  expect(await docker('', 'ps', '--format', '{{.Names}}')).toBe('tls\n');
  expect(await engine.inHost('curl', '-sk', 'https://127.0.0.1:2376/info')).toBe('');
  expect(await engine.inHost('curl', '-s', 'http://127.0.0.1:2376/info')).toBe('');
});
