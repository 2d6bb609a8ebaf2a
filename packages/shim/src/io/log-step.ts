/**
 * The step that writes a log and feeds attached readers. One {@link LogTarget} serves both streams of a process; each
 * stream has a step of its own.
 */
import type { Logger } from '@boxship/base';
import { WOULD_BLOCK } from '@boxship/linux';
import type { StreamName } from '../log/format.ts';
import type { LogWriter } from '../log/log-writer.ts';
import type { Spool } from '../log/spool.ts';
import type { AttachServer } from './attach-server.ts';
import { movedResult, type PumpStep, type StepResult } from './pump.ts';
import type { OutputSource } from './source.ts';

const CHUNK = 1024 * 1024;
/** One buffer for all containers: bytes stay in it only within one synchronous step. */
const shared = Buffer.allocUnsafe(CHUNK + 64 * 1024);

const nowNs = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

export interface LogTargetParts {
  readonly writer: LogWriter | undefined;
  /** Absent in the stand-alone logger, whose pipes die with it. */
  readonly spool: Spool | undefined;
  readonly attach: AttachServer | undefined;
  readonly log: Logger;
}

export class LogTarget {
  readonly #parts: Omit<LogTargetParts, 'spool'>;
  #spool: Spool | undefined;
  readonly #open = new Set<StreamName>();
  readonly #carried: Record<StreamName, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  constructor(parts: LogTargetParts) {
    this.#parts = parts;
    // without a log there is nothing that a spool could keep for a successor
    this.#spool = parts.writer === undefined ? undefined : parts.spool;
  }

  /** The step for one stream. */
  step(stream: StreamName, source: OutputSource): PumpStep {
    this.#open.add(stream);
    return {
      move: () => this.#move(stream, source),
      whenRoom: (resume) => this.#parts.attach?.whenRoom(resume),
      close: () => this.#close(stream),
    };
  }

  #move(stream: StreamName, source: OutputSource): StepResult {
    if (this.#parts.attach?.isFull === true) return 'blocked';
    const spool = this.#spool;
    if (spool === undefined) return this.#moveThroughMemory(stream, source);
    try {
      return this.#moveThroughSpool(stream, source, spool);
    } catch (error) {
      this.#giveUpSpool(spool, error);
      return 'moved';
    }
  }

  #moveThroughSpool(stream: StreamName, source: OutputSource, spool: Spool): StepResult {
    const before = spool.pendingBytes(stream);
    let n: number;
    if (source.kind === 'pipe') n = spool.take(stream, source.fd, CHUNK);
    else {
      n = source.read(shared.subarray(0, CHUNK));
      if (n > 0) spool.put(stream, shared.subarray(0, n));
    }
    if (n === WOULD_BLOCK) return 'empty';
    if (n === 0) return 'end';
    const bytes = spool.contents(stream, shared);
    this.#parts.attach?.send(stream, bytes.subarray(before));
    this.#log(stream, bytes, spool, false);
    return movedResult(n);
  }

  /**
   * The file system of the bundles is full: output goes on through memory, so that no container stops. Only a death of this
   * process could now cost bytes.
   */
  #giveUpSpool(spool: Spool, error: unknown): void {
    this.#parts.log.warn('output is no longer kept for a successor', { error });
    for (const stream of ['stdout', 'stderr'] as const)
      this.#carried[stream] = Buffer.from(spool.contents(stream, shared));
    this.#spool = undefined;
    spool.close();
  }

  #log(stream: StreamName, bytes: Buffer, spool: Spool, isEnd: boolean): void {
    const { writer } = this.#parts;
    if (writer === undefined) return;
    let base = 0;
    const onIntent: Parameters<LogWriter['write']>[3] = (intent) => {
      spool.intend(stream, intent, base);
      base = intent.consumed;
    };
    if (isEnd) writer.finish(stream, bytes, nowNs(), onIntent);
    const used = isEnd ? bytes.length : writer.write(stream, bytes, nowNs(), onIntent);
    if (used > 0) spool.consume(stream, used);
  }

  #moveThroughMemory(stream: StreamName, source: OutputSource): StepResult {
    const { attach, writer } = this.#parts;
    const carried = this.#carried[stream];
    carried.copy(shared);
    const n = source.read(shared.subarray(carried.length, carried.length + CHUNK));
    if (n === WOULD_BLOCK) return 'empty';
    if (n === 0) return 'end';
    const bytes = shared.subarray(0, carried.length + n);
    attach?.send(stream, bytes.subarray(carried.length));
    if (writer === undefined) return movedResult(n);
    const used = writer.write(stream, bytes, nowNs());
    this.#carried[stream] = Buffer.from(bytes.subarray(used));
    return movedResult(n);
  }

  /** A predecessor's complete lines that were still in the spool when it died. */
  settle(): void {
    const spool = this.#spool;
    for (const stream of ['stdout', 'stderr'] as const)
      if (spool !== undefined && spool.pendingBytes(stream) > 0)
        this.#log(stream, spool.contents(stream, shared), spool, false);
  }

  #close(stream: StreamName): void {
    if (!this.#open.delete(stream)) return;
    const { attach, writer } = this.#parts;
    const spool = this.#spool;
    if (spool !== undefined) this.#log(stream, spool.contents(stream, shared), spool, true);
    else writer?.finish(stream, this.#carried[stream], nowNs());
    if (this.#open.size > 0) return;
    attach?.end();
    writer?.close();
    spool?.close();
  }
}
