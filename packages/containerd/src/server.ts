/** Serves the services of a {@link Containerd} over gRPC. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { serveEach } from '@boxship/api';
import type { Logger } from '@boxship/base';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { Containerd } from './containerd.ts';
import { serve } from './rpc.ts';

const messageBytes = 16 * 1024 * 1024; // containerd's limit, both ways

export interface ContainerdServer extends AsyncDisposable {
  readonly address: string;
}

/** Listens at the address. A socket file of a dead predecessor is replaced; only one process may own the roots. */
export async function serveContainerd(
  containerd: Containerd,
  options: { address: string; log: Logger },
): Promise<ContainerdServer> {
  const { address } = options;
  mkdirSync(dirname(address), { recursive: true, mode: 0o711 });
  const grpc = new Server({
    'grpc.max_receive_message_length': messageBytes,
    'grpc.max_send_message_length': messageBytes,
  });
  serveEach(containerd.handlers, (service, handlers) => serve(grpc, service, handlers));
  rmSync(address, { force: true });
  await new Promise<void>((resolve, reject) => {
    grpc.bindAsync(`unix://${address}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  chmodSync(address, 0o660);
  options.log.info('serving', { address });
  return {
    address,
    async [Symbol.asyncDispose]() {
      grpc.forceShutdown();
    },
  };
}
