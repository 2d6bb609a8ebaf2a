import { afterAll } from 'vitest';
import { type EngineUnderTest, importBusybox, startEngineUnderTest } from './engine-under-test.ts';
import { SandboxHost } from './sandbox-host.ts';

export interface EngineForFile {
  readonly host: SandboxHost;
  readonly engine: EngineUnderTest;
}

/** An engine with the image busybox for all tests of a file, ended after the last of them. Called at the top of the file. */
export async function engineForFile(
  optionsFor: (host: SandboxHost) => Parameters<typeof startEngineUnderTest>[1] = () => ({}),
): Promise<EngineForFile> {
  const host = new SandboxHost();
  try {
    const engine = await startEngineUnderTest(host, optionsFor(host));
    await importBusybox(host, engine);
    afterAll(() => host[Symbol.asyncDispose]());
    return { host, engine };
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}
