/** The shared suites a third time: through gRPC, against our containerd and (snapshots) against Debian's. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@boxship/base';
import { Containerd, serveContainerd } from '@boxship/containerd';
import { type ContainerdClient, connect, remoteContentStore, remoteSnapshotter } from '@boxship/containerd-client';
import { contentSuite } from '@boxship/image-store/testsuite/content';
import { snapshotterSuite } from '@boxship/image-store/testsuite/snapshotter';
import { afterAll, beforeAll } from 'vitest';
import { startContainerd } from './harness/peers.ts';
import { SandboxHost } from './harness/sandbox-host.ts';

/** A client whose lease keeps what the suites make from garbage collection: no image refers to it. */
async function connectLeased(address: string, namespace: string): Promise<ContainerdClient> {
  const client = connect(address, { namespace, lease: 'suite' });
  await client.leases.create({ id: 'suite' });
  return client;
}

/** A server of ours on empty roots, and a client of it. */
async function serveOwn() {
  await using own = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'boxship-wire-'));
  own.defer(() => rmSync(directory, { recursive: true, force: true }));
  const address = join(directory, 'containerd.sock');
  const options = { root: join(directory, 'root'), state: join(directory, 'state'), address, shim: '/none' };
  const containerd = own.use(await Containerd.open(options));
  own.use(await serveContainerd(containerd, { address, log: silentLogger }));
  const client = own.use(await connectLeased(address, 'suite'));
  const resources = own.move();
  return { client, close: () => resources.disposeAsync() };
}

contentSuite('boxship over gRPC', async () => {
  const { client, close } = await serveOwn();
  return { store: remoteContentStore(client), close };
});
snapshotterSuite('overlayfs of boxship over gRPC', async () => {
  const { client, close } = await serveOwn();
  return { snapshotter: remoteSnapshotter(client, 'overlayfs'), close };
});

let host: SandboxHost;
let foreign = '';
let count = 0;
beforeAll(async () => {
  host = new SandboxHost();
  foreign = (await startContainerd(host)).socket;
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

// a namespace of its own is an empty snapshotter of a server that is used
snapshotterSuite('overlayfs of containerd 1.6 over gRPC', async () => {
  const client = await connectLeased(foreign, `suite${++count}`);
  return {
    snapshotter: remoteSnapshotter(client, 'overlayfs'),
    close: async () => await client[Symbol.asyncDispose](),
  };
});
