/** The list at the end of a run: every failure, and what passed at the second try only. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { clearFailures, readFailures } from './failure-file.ts';

// below this package, from where it finds vitest
const root = mkdtempSync(join(import.meta.dirname, 'node_modules', 'failures-'));
const list = join(root, 'list');
afterAll(() => rmSync(root, { recursive: true }));

function runTests(text: string): number | null {
  const project = join(root, 'project');
  mkdirSync(project, { recursive: true });
  const reporter = join(import.meta.dirname, 'failure-file.ts');
  writeFileSync(
    join(project, 'vitest.config.ts'),
    `import { FailureFileReporter } from ${JSON.stringify(reporter)};
     export default { test: { retry: 1, include: ['*.test.ts'], reporters: [new FailureFileReporter(${JSON.stringify(list)})] } };`,
  );
  writeFileSync(join(project, 'one.test.ts'), `import { describe, expect, it } from 'vitest';\n${text}`);
  return spawnSync('vitest', ['run'], { cwd: project, timeout: 60_000 }).status;
}

it('names what failed, what broke outside of a test, and what stumbled', () => {
  const status = runTests(`
    let tries = 0;
    describe('group', () => {
      it('passes', () => {});
      it('stumbles', () => expect(++tries).toBe(2));
      it('fails', () => expect('seen').toBe('wanted'));
    });
    describe('unborn', () => { throw new Error('not loaded'); });
  `);
  expect(status).toBe(1);
  expect(readFailures(list).join('')).toContain('not loaded');
  clearFailures(list);
  runTests(`
    let tries = 0;
    it('passes', () => {});
    it('stumbles', () => expect(++tries).toBe(2));
    it('fails', () => expect('seen').toBe('wanted'));
  `);
  const [text = '', ...others] = readFailures(list);
  expect(others).toEqual([]);
  expect(text).toContain('passed at the second try: project/one.test.ts > stumbles');
  expect(text).toContain('failed: project/one.test.ts > fails');
  expect(text).toContain("expected 'seen' to be 'wanted'");
  expect(text).not.toContain('passes');
});

it('is empty when all is well', () => {
  clearFailures(list);
  expect(runTests(`it('passes', () => {});`)).toBe(0);
  expect(readFailures(list)).toEqual([]);
});
