/**
 * The `log` FIFO of a bundle: a shim writes its own messages there. It must have a reader as long as the shim lives: the
 * reference shim opens it for writing before it serves, and waits for ever without one.
 */
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Logger } from '@boxship/base';
import { makeFifo, openFifo } from '@boxship/linux';

/** Opens the FIFO and passes what arrives on to `log`. Disposing closes it. */
export function readShimLog(bundle: string, log: Logger): Disposable {
  const path = join(bundle, 'log');
  makeFifo(path);
  // read-write: a FIFO opened so never blocks and never ends, whether the shim is there yet or not
  const fd = openFifo(path, { access: 'read-write' });
  const socket = new Socket({ fd, readable: true, writable: false });
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    for (const line of text.split('\n')) if (line !== '') log.debug('shim says', { line });
  });
  socket.on('error', (error) => log.warn('the log of a shim cannot be read', { path, error }));
  socket.unref();
  return { [Symbol.dispose]: () => void socket.destroy() };
}
