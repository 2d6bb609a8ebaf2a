import base from '../tooling/vitest.base.ts';

// whole engines and foreign daemons start in the hooks of these tests
export default { ...base, test: { ...base.test, testTimeout: 60_000, hookTimeout: 120_000 } };
