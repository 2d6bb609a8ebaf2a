/** The README's example is run as it stands, against the distribution's containerd. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { missing, startEngine } from './harness.ts';

const reason = missing('docker');
const here = fileURLToPath(new URL('.', import.meta.url));

it.skipIf(reason !== undefined)('README example runs', async () => {
  await using engine = await startEngine();
  await engine.killDaemon(); // the example starts its own
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(here, '../README.md'), 'utf8'))?.[1] ?? '';
  const directory = mkdtempSync(join(here, 'readme-'));
  try {
    const program = join(directory, 'example.ts');
    writeFileSync(program, code);
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--conditions=@boxship/source', '--no-warnings', program],
      {
        timeout: 20_000,
        env: {
          ...process.env,
          BOXSHIP_DIRECTORY: join(engine.directory, 'example'),
          CONTAINERD_ADDRESS: engine.containerdSocket,
        },
      },
    );
    expect(stdout).toMatch(/^Docker API 1\.50, engine \d+\.\d+\.\d+, storage overlay2\n$/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
