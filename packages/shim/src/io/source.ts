/**
 * Where output comes from: the FIFO that a container writes into, or the master of its terminal.
 *
 * The FIFO is open read-write while the process lives, so it never ends; once the process has exited,
 * {@link OutputSource.expectEnd} exchanges the descriptor for a read-only one: from then on the end shows when the last
 * writer is gone.
 */
import { closeSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { openFifo, type Poller, readNow, setPipeSize } from '@boxship/linux';

export interface OutputSource {
  readonly fd: number;
  readonly kind: 'pipe' | 'terminal';
  /** Bytes, 0 at the end, or WOULD_BLOCK. */
  read(buffer: Buffer): number;
  expectEnd(): void;
  close(): void;
}

const PIPE_BYTES = 1024 * 1024;

export class FifoSource implements OutputSource {
  readonly kind = 'pipe';
  readonly #path: string;
  readonly #poller: Poller;
  #fd: number;
  #isEndExpected = false;
  #isClosed = false;

  constructor(path: string, poller: Poller) {
    this.#path = path;
    this.#poller = poller;
    this.#fd = openFifo(path, { access: 'read-write' });
    // room for a burst while nobody reads; refused beyond the system's limit, then it stays at 64 KiB
    setPipeSize(this.#fd, PIPE_BYTES);
  }

  get fd(): number {
    return this.#fd;
  }

  read(buffer: Buffer): number {
    return readNow(this.#fd, buffer);
  }

  expectEnd(): void {
    if (this.#isEndExpected || this.#isClosed) return;
    this.#isEndExpected = true;
    const reader = openFifo(this.#path, { access: 'read' });
    this.#poller.remove(this.#fd);
    closeSync(this.#fd);
    this.#fd = reader;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poller.remove(this.#fd);
    closeSync(this.#fd);
  }
}

export class TerminalSource implements OutputSource {
  readonly kind = 'terminal';
  readonly fd: number;
  readonly #poller: Poller;

  #isClosed = false;

  /** @param fd a descriptor of the master, non-blocking, owned from here on */
  constructor(fd: number, poller: Poller) {
    this.fd = fd;
    this.#poller = poller;
  }

  read(buffer: Buffer): number {
    try {
      return readNow(this.fd, buffer);
    } catch (error) {
      // EIO: the last process on the slave side is gone
      if (BoxshipError.is(error) && error.details['code'] === 'EIO') return 0;
      throw error;
    }
  }

  expectEnd(): void {}

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#poller.remove(this.fd);
    closeSync(this.fd);
  }
}
