/**
 * The writing end of a process's stdin: a FIFO that the shim reads. Opened read-write, so that neither end of the daemon nor
 * end of the shim gives the process an end of file that nobody meant.
 */
import { Socket } from 'node:net';
import { makeFifo, openFifo, WOULD_BLOCK, writeNow } from '@boxship/linux';

/** A write of so much into a pipe is whole or not at all (PIPE_BUF of pipe(7)). */
const PIPE_BUF = 4096;

export interface ProcessInput {
  /** Writes a small chunk without waiting, as keystrokes and requests of a line are; false: it was not written. */
  writeAtOnce(chunk: Uint8Array): boolean;
  /** Resolves when the bytes are in the pipe: back-pressure of the process reaches the client. */
  write(chunk: Uint8Array): Promise<void>;
  /** Gives up the writing end; bytes in the pipe stay. Idempotent. */
  close(): void;
  readonly isClosed: boolean;
}

/** Opens the FIFO, making it if it does not exist. */
export function openProcessInput(path: string): ProcessInput {
  makeFifo(path, 0o600);
  const fd = openFifo(path, { access: 'read-write' });
  // not readable: reading would take the process's own input away
  const socket = new Socket({ fd, readable: false, writable: true });
  socket.on('error', () => socket.destroy()); // the writer's callback reports it
  let isClosed = false;
  return {
    writeAtOnce: (chunk) =>
      // behind what waits already it would come too early
      !isClosed && chunk.length <= PIPE_BUF && socket.writableLength === 0 && writeNow(fd, chunk) !== WOULD_BLOCK,
    write: (chunk) =>
      new Promise((resolve, reject) => {
        if (isClosed) return resolve();
        socket.write(chunk, (error) => {
          if (error && !isClosed) reject(error);
          else resolve();
        });
      }),
    close() {
      isClosed = true;
      // no shutdown: a FIFO has none
      socket.destroy();
    },
    get isClosed() {
      return isClosed;
    },
  };
}
