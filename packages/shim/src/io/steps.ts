/** The targets of a pump other than a log: another pipe, a file. */
import { closeSync, fstatSync } from 'node:fs';
import { isReadyNow, type Poller, spliceNow, WOULD_BLOCK, writeNow } from '@boxship/linux';
import { movedResult, type PumpStep, type StepResult } from './pump.ts';
import type { OutputSource } from './source.ts';

const CHUNK = 1024 * 1024;
const shared = Buffer.allocUnsafe(64 * 1024);

export interface Target {
  readonly fd: number;
  /** A seekable file is appended to; a pipe or terminal takes what it has room for. */
  readonly kind: 'pipe' | 'file' | 'terminal';
  readonly isOwned: boolean;
}

/** Pipe to pipe or file inside the kernel: nothing is lost with this process, as nothing is ever in it. */
export class SpliceStep implements PumpStep {
  readonly #source: OutputSource;
  readonly #target: Target;
  readonly #poller: Poller;

  constructor(source: OutputSource, target: Target, poller: Poller) {
    this.#source = source;
    this.#target = target;
    this.#poller = poller;
  }

  move(): StepResult {
    const { fd, kind } = this.#target;
    // splice refuses O_APPEND; two streams into one file stay in order because each call asks for the end anew
    const at = kind === 'file' ? fstatSync(fd).size : undefined;
    const n = spliceNow(this.#source.fd, fd, CHUNK, at);
    if (n > 0) return movedResult(n);
    if (n === 0) return 'end';
    // more may have come since: a file always has room, and cannot be waited for
    if (!isReadyNow(this.#source.fd, 'read')) return 'empty';
    return kind === 'file' ? 'moved' : 'blocked';
  }

  whenRoom(resume: () => void): void {
    this.#poller.arm(this.#target.fd, 'write', resume);
  }

  close(): void {
    closeTarget(this.#target, this.#poller);
  }
}

/** Through memory: for terminals, whose masters splice does not take on all kernels. */
export class CopyStep implements PumpStep {
  readonly #source: Pick<OutputSource, 'read'>;
  readonly #target: Target;
  readonly #poller: Poller;
  #pending: Buffer = Buffer.alloc(0);

  constructor(source: Pick<OutputSource, 'read'>, target: Target, poller: Poller) {
    this.#source = source;
    this.#target = target;
    this.#poller = poller;
  }

  move(): StepResult {
    if (this.#pending.length > 0) {
      this.#pending = this.#write(this.#pending);
      return this.#pending.length > 0 ? 'blocked' : 'moved';
    }
    const n = this.#source.read(shared);
    if (n === WOULD_BLOCK) return 'empty';
    if (n === 0) return 'end';
    const rest = this.#write(shared.subarray(0, n));
    if (rest.length === 0) return movedResult(n);
    this.#pending = Buffer.from(rest);
    return 'blocked';
  }

  #write(bytes: Buffer): Buffer {
    let rest = bytes;
    while (rest.length > 0) {
      const n = writeNow(this.#target.fd, rest);
      if (n === WOULD_BLOCK) break;
      rest = rest.subarray(n);
    }
    return rest;
  }

  whenRoom(resume: () => void): void {
    this.#poller.arm(this.#target.fd, 'write', resume);
  }

  close(): void {
    closeTarget(this.#target, this.#poller);
  }
}

function closeTarget(target: Target, poller: Poller): void {
  if (target.kind !== 'file') poller.remove(target.fd);
  if (target.isOwned) closeSync(target.fd);
}
