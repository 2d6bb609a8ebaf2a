/** What the groups of the suite share: the host and the controller under test, and short ways to ask them. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, randomId } from '@boxship/base';
import { expect } from 'vitest';
import type { NetworkController, Sandbox, SandboxSpec } from '../controller.ts';
import type { TestHost } from './test-host.ts';

export interface SuiteTarget {
  readonly host: TestHost;
  readonly controller: NetworkController;
  readonly runDirectory: string;
  /** Of the networks that the suite makes; absent: `bridge`. */
  readonly driver?: string;
  readonly close: () => Promise<void>;
}

export class Suite {
  #target: SuiteTarget | undefined;

  set target(target: SuiteTarget) {
    this.#target = target;
  }

  get target(): SuiteTarget {
    if (this.#target === undefined) throw new Error('the suite has not begun');
    return this.#target;
  }

  get host(): TestHost {
    return this.target.host;
  }

  get controller(): NetworkController {
    return this.target.controller;
  }

  get driver(): string {
    return this.target.driver ?? 'bridge';
  }

  get runDirectory(): string {
    return this.target.runDirectory;
  }

  /** A sandbox on the default bridge unless said otherwise, with files of its own. */
  async sandbox(containerName: string, spec: Partial<SandboxSpec> = {}): Promise<Sandbox> {
    const id = spec.id ?? randomId();
    const directory = join(this.host.directory, 'files', id);
    mkdirSync(directory, { recursive: true });
    return await this.controller.createSandbox({
      id,
      containerName,
      hostname: id.slice(0, 12),
      domainname: '',
      files: { hostsPath: join(directory, 'hosts'), resolvConfPath: join(directory, 'resolv.conf') },
      endpoints: [{ network: 'bridge' }],
      ...spec,
    });
  }
}

export const addressOf = (of: Sandbox, index = 0): string => of.endpoints[index]?.ipv4Address ?? '';

export const hostsOf = (of: Sandbox): string => readFileSync(of.spec.files?.hostsPath ?? '', 'utf8');

/** The error with which a call is refused. */
export async function refusal(work: Promise<unknown>): Promise<BoxshipError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(BoxshipError.is(error), `a refusal, not ${String(error)}`).toBe(true);
  return error as BoxshipError;
}
