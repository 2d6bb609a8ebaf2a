/** Checkpoints where CRIU matches the kernel, which the host's need not: the same tests, inside a small virtual machine. */
import { beforeAll, describe, expect, it } from 'vitest';
import { runTestsInVirtualMachine, type TestOutcome } from '../../tooling/vm/run-tests.ts';
import { missingForMachine } from '../../tooling/vm/virtual-machine.ts';

const missing = missingForMachine();
const why = missing.length === 0 ? '' : ` (missing: ${missing.join(', ')})`;

describe.skipIf(missing.length > 0)(`checkpoints under CRIU${why}`, () => {
  let outcomes: TestOutcome[] = [];
  beforeAll(async () => {
    const files = ['shim/test/checkpoint.test.ts'];
    outcomes = await runTestsInVirtualMachine(files, { timeoutMs: 240_000, isBuilt: true });
  }, 250_000);

  it('all tests pass there', () => {
    expect(outcomes.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(outcomes).toHaveLength(7);
  });
});
