// Tests inside the virtual machine: emulated, everything is ten times slower, and to transform modules costs most. Node runs
// the sources as they are.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  root: join(import.meta.dirname, '../..'),
  cacheDir: join(tmpdir(), 'vite'),
  test: {
    pool: 'forks',
    isolate: false,
    fileParallelism: false,
    execArgv: process.env['BOXSHIP_TEST_BUILT'] === '1' ? [] : ['--conditions=@boxship/source'],
    experimental: { viteModuleRunner: false },
    testTimeout: 120_000,
    hookTimeout: 120_000,
    include: ['*/test/**/*.test.ts'],
  },
});
