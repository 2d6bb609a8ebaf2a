/** Snapshotters that the host's kernel has not: the same test files as everywhere, run inside a small virtual machine. */
import { beforeAll, describe, expect, it } from 'vitest';
import { runTestsInVirtualMachine, type TestOutcome } from '../../tooling/vm/run-tests.ts';
import { missingForMachine } from '../../tooling/vm/virtual-machine.ts';

const missing = missingForMachine();
const why = missing.length > 0 ? ` (missing: ${missing.join(', ')})` : '';

describe.skipIf(missing.length > 0)(`a kernel with the device mapper${why}`, () => {
  let outcomes: TestOutcome[] = [];
  beforeAll(async () => {
    outcomes = await runTestsInVirtualMachine(['image-store/test/devmapper.test.ts'], {
      timeoutMs: 400_000, // emulated, every call of dmsetup takes a quarter of a second
      isBuilt: true,
      modules: ['loop', 'ext4', 'dm-thin-pool'],
    });
  }, 440_000);

  it('every test of devmapper passes', () => {
    expect(outcomes.filter(({ status }) => status !== 'passed')).toEqual([]);
    expect(outcomes.length).toBeGreaterThanOrEqual(15);
  });
});
