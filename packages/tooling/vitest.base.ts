// One test configuration for every package: sources are resolved through the `@boxship/source` export condition,
// so tests never depend on a build being fresh. Kernel objects are shared by all files, hence one file at a time.
import { defineConfig } from 'vitest/config';
import { FailureFileReporter } from './failure-file.ts';

const conditions = ['@boxship/source', 'node', 'import', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    pool: 'forks',
    execArgv: ['--conditions=@boxship/source'],
    fileParallelism: false,
    reporters: ['default', new FailureFileReporter()],
    // these tests share a machine's kernel, two cores and foreign daemons: a lone stumble is told, not fatal, in CI
    retry: process.env['CI'] === 'true' ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // a condition is waited for as long as a slow machine may take; one that comes at once costs nothing
    expect: { poll: { timeout: 10_000 } },
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', '*.test.ts'],
  },
});
