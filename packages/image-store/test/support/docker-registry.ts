/** A real registry on a loopback port, with a directory of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const hasRegistry = existsSync('/usr/bin/docker-registry') && existsSync('/usr/bin/skopeo');

export interface TestRegistry extends AsyncDisposable {
  /** 127.0.0.1:port */
  readonly host: string;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export async function startRegistry(
  options: { login?: { user: string; password: string } } = {},
): Promise<TestRegistry> {
  const root = mkdtempSync(join(tmpdir(), 'registry-'));
  const port = await freePort();
  const auth = options.login === undefined ? '' : `auth:\n  htpasswd:\n    realm: test\n    path: ${root}/htpasswd\n`;
  if (options.login !== undefined) {
    const hash = execFileSync('python3', [
      '-c',
      'import crypt,sys;print(crypt.crypt(sys.argv[1],"$2b$04$"+"abcdefghijklmnopqrstuu"))',
      options.login.password,
    ]);
    writeFileSync(join(root, 'htpasswd'), `${options.login.user}:${hash.toString().trim()}\n`);
  }
  const config = `version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    rootdirectory: ${root}/data\n  delete:\n    enabled: true\n${auth}http:\n  addr: 127.0.0.1:${port}\n`;
  writeFileSync(join(root, 'config.yml'), config);
  const child = spawn('/usr/bin/docker-registry', ['serve', join(root, 'config.yml')], { stdio: 'ignore' });
  const host = `127.0.0.1:${port}`;
  for (let left = 200; ; left--) {
    const isUp = await fetch(`http://${host}/v2/`).then(
      () => true,
      () => false,
    );
    if (isUp) break;
    if (left === 0) throw new Error('registry does not start');
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return {
    host,
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      rmSync(root, { recursive: true, force: true });
    },
  };
}
