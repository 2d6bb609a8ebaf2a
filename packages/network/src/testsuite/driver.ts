/**
 * The suite of the network contract: one list of promises, kept by the controller in process and through the wire alike. It
 * reads the kernel back: packets, not rules.
 */
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { dnsTests } from './dns.ts';
import { networkTests } from './networks.ts';
import { portTests } from './ports.ts';
import { sandboxTests } from './sandboxes.ts';
import { Suite, type SuiteTarget } from './suite.ts';

export type { SuiteTarget } from './suite.ts';

export function networkSuite(name: string, make: () => Promise<SuiteTarget>): void {
  describe(`network controller: ${name}`, () => {
    const suite = new Suite();
    beforeAll(async () => {
      suite.target = await make();
    });
    afterAll(async () => await suite.target.close());
    afterEach(async () => {
      for (const { id } of await suite.controller.listSandboxes()) await suite.controller.removeSandbox(id);
      // networks that lend their settings go last
      const networks = await suite.controller.listNetworks();
      for (const { id, spec } of networks.toSorted((a, b) => Number(a.spec.isConfigOnly) - Number(b.spec.isConfigOnly)))
        if (!['bridge', 'host', 'none'].includes(spec.name)) await suite.controller.removeNetwork(id);
    });
    sandboxTests(suite);
    dnsTests(suite);
    portTests(suite);
    networkTests(suite);
  });
}
