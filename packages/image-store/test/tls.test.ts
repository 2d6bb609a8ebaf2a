/** Certificates: whom the client believes, and where that is configured. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { digestOf, mediaTypes, parseNormalizedNamed } from '@boxship/oci';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { configureHosts, fetchManifest, type HostOptions, Registry } from '../src/index.ts';

let root: string;
let server: Server;
let host: string;
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: mediaTypes.ociManifest,
  config: { mediaType: mediaTypes.ociConfig, digest: digestOf('x'), size: 1 },
  layers: [],
});

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'tls-'));
  const openssl = (...args: string[]): Buffer => execFileSync('openssl', args, { cwd: root, stdio: 'pipe' });
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=test ca',
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
  );
  for (const [name, extension] of [
    ['server', 'subjectAltName=IP:127.0.0.1'],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    writeFileSync(join(root, `${name}.ext`), extension);
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.crt',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    );
  }
  const read = (name: string): Buffer => readFileSync(join(root, name));
  server = createServer(
    {
      cert: read('server.crt'),
      key: read('server.key'),
      ca: read('ca.crt'),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, answer) => {
      if (request.url?.startsWith('/v2/private') && !(request.socket as { authorized?: boolean }).authorized)
        answer.writeHead(403).end();
      else
        answer
          .writeHead(200, {
            'content-type': mediaTypes.ociManifest,
            'x-header': String(request.headers['x-test'] ?? ''),
          })
          .end(manifest);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(root, { recursive: true, force: true });
});

async function get(repository: string, options: HostOptions): Promise<number> {
  await using registry = new Registry({ hosts: configureHosts(options) });
  return (await fetchManifest(registry, parseNormalizedNamed(`${host}/${repository}:1`))).bytes.length;
}

describe('TLS', () => {
  const certificates = (directory: string, files: Record<string, string>): string => {
    const own = join(root, directory, host);
    mkdirSync(own, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(own, name), text);
    return join(root, directory);
  };
  const toml = (body: string): string => `server = "https://${host}"\n${body}`;

  it('takes any certificate of a loopback registry, as Docker does', async () => {
    expect(await get('open', {})).toBe(manifest.length);
  });
  it('believes nobody else without reason', async () => {
    const strict = certificates('strict', { 'hosts.toml': toml('') });
    await expect(get('open', { certsDirectories: [strict] })).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/certificate/),
    });
  });
  it('believes the authority in hosts.toml, and sends its headers', async () => {
    const known = certificates('known', {
      'ca.crt': readFileSync(join(root, 'ca.crt'), 'utf8'),
      'hosts.toml': toml('ca = "ca.crt"\n'),
    });
    expect(await get('open', { certsDirectories: [known] })).toBe(manifest.length);
  });
  it('shows its own certificate where there is one', async () => {
    const read = (name: string): string => readFileSync(join(root, name), 'utf8');
    const files = { 'ca.crt': read('ca.crt'), 'client.cert': read('client.crt'), 'client.key': read('client.key') };
    expect(await get('private', { certsDirectories: [certificates('docker', files)] })).toBe(manifest.length);
    const inToml = { ...files, 'hosts.toml': toml('ca = "ca.crt"\nclient = [["client.cert", "client.key"]]\n') };
    expect(await get('private', { certsDirectories: [certificates('toml', inToml)] })).toBe(manifest.length);
    await expect(get('private', {})).rejects.toMatchObject({ kind: 'permissionDenied' });
  });
  it('goes through a proxy where one is set, but never to loopback', async () => {
    const asked: string[] = [];
    const proxy = createHttpServer((request, answer) => {
      asked.push(request.url ?? '');
      answer.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest);
    });
    proxy.on('connect', (request, socket) => {
      asked.push(`CONNECT ${request.url}`);
      const [, port] = host.split(':');
      const onward = connect(Number(port), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      onward.pipe(socket).pipe(onward);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const address = proxy.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const through = async (reference: string, hosts: HostOptions): Promise<number> => {
      await using registry = new Registry({
        hosts: configureHosts(hosts),
        proxy: { http: url, https: url, except: 'direct.test' },
      });
      return (await fetchManifest(registry, parseNormalizedNamed(reference))).bytes.length;
    };
    expect(await through('far.test:5000/a:1', { isPlainHttp: true })).toBe(manifest.length);
    expect(await through('far.test/b:1', { insecureRegistries: ['far.test'] })).toBe(manifest.length);
    expect(await through(`${host}/c:1`, {})).toBe(manifest.length);
    expect(asked).toEqual(['http://far.test:5000/v2/a/manifests/1', 'CONNECT far.test:443']);
    proxy.closeAllConnections();
    await new Promise((resolve) => proxy.close(resolve));
  });
  it('believes the authorities of the system', async () => {
    const strict = certificates('system', { 'hosts.toml': toml('') });
    const script = `
      import { configureHosts, fetchManifest, Registry } from ${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))};
      import { parseNormalizedNamed } from '@boxship/oci';
      await using registry = new Registry({ hosts: configureHosts({ certsDirectories: [${JSON.stringify(strict)}] }) });
      console.log((await fetchManifest(registry, parseNormalizedNamed(${JSON.stringify(`${host}/a:1`)}))).bytes.length);`;
    const run = promisify(execFile);
    for (const variable of ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']) {
      const { stdout } = await run(
        process.execPath,
        ['--conditions=@boxship/source', '--no-warnings', '--input-type=module', '-e', script],
        {
          cwd: import.meta.dirname,
          env: { ...process.env, [variable]: join(root, 'ca.crt') },
        },
      );
      expect(stdout.trim(), variable).toBe(String(manifest.length));
    }
  });
  it('skips verification only where that is written', async () => {
    expect(
      await get('open', { certsDirectories: [certificates('skip', { 'hosts.toml': toml('skip_verify = true\n') })] }),
    ).toBe(manifest.length);
    await expect(
      get('open', {
        certsDirectories: [
          certificates('bad', {
            'hosts.toml': toml('capabilities = ["fly"]\n[host."https://x"]\ncapabilities = ["fly"]'),
          }),
        ],
      }),
    ).rejects.toMatchObject({
      kind: 'invalidArgument',
    });
  });
});
