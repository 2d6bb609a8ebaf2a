/**
 * The loop that moves bytes from a source to wherever they go. What one move does is the step's business; the loop knows
 * readiness, fairness between containers, draining and the end.
 */
import { type Logger, messageOf } from '@boxship/base';
import { type Poller, WOULD_BLOCK } from '@boxship/linux';
import type { OutputSource } from './source.ts';

/**
 * moved: something was, and there may be more; emptied: something was, so little that asking for more is left to the poller;
 * empty: the source has nothing now; blocked: the target takes nothing now; end: no more will come.
 */
export type StepResult = 'moved' | 'emptied' | 'empty' | 'blocked' | 'end';

/** The result of a step that has moved so many bytes. A call that finds nothing costs as much as one that moves a line. */
export const movedResult = (bytes: number): StepResult => (bytes < SMALL ? 'emptied' : 'moved');

export interface PumpStep {
  move(): StepResult;
  /** Calls back once when a blocked target may take again. */
  whenRoom(resume: () => void): void;
  /** Called once, after the end or when the pump is closed. */
  close(): void;
}

const STEPS_PER_TURN = 4;
const SMALL = 16 * 1024;
const scratch = Buffer.allocUnsafe(64 * 1024);

/** Reads and drops: output that nobody asked for, or that cannot be delivered, must still be taken from the process. */
export const discard = (source: OutputSource): PumpStep => ({
  move() {
    const n = source.read(scratch);
    return n === WOULD_BLOCK ? 'empty' : n === 0 ? 'end' : 'moved';
  },
  whenRoom() {},
  close() {},
});

export class Pump {
  readonly #source: OutputSource;
  #step: PumpStep;
  readonly #poller: Poller;
  readonly #log: Logger;
  readonly #ended = Promise.withResolvers<void>();
  #drainWaiters: (() => void)[] = [];
  #isClosed = false;
  #isStarted = false;
  #mayDiscard: boolean;

  /** @param onFailure what becomes of the source when its target fails: an output goes on to be read, an input is closed */
  constructor(source: OutputSource, step: PumpStep, poller: Poller, log: Logger, onFailure: 'discard' | 'close') {
    this.#mayDiscard = onFailure === 'discard';
    this.#source = source;
    this.#step = step;
    this.#poller = poller;
    this.#log = log;
  }

  /** Resolves when the source has ended and all of it is delivered, or the pump was closed. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  start(): void {
    if (this.#isStarted || this.#isClosed) return;
    this.#isStarted = true;
    this.#turn();
  }

  /** Resolves when everything written into the source before this call is delivered. */
  caughtUp(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#drainWaiters.push(resolve);
    this.#isStarted = true;
    this.#turn();
    return promise;
  }

  /** The same, after the end of the process: from here on the end of the output shows. */
  drain(): Promise<void> {
    if (!this.#isClosed) this.#source.expectEnd();
    return this.caughtUp();
  }

  #turn(): void {
    if (this.#isClosed) return;
    try {
      for (let i = 0; i < STEPS_PER_TURN; i++) {
        const result = this.#step.move();
        // who drains must have seen the source empty
        if (result === 'moved' || (result === 'emptied' && this.#drainWaiters.length > 0)) continue;
        if (result === 'end') this.close();
        else if (result === 'blocked') this.#step.whenRoom(() => this.#turn());
        else {
          if (result === 'empty') this.#settleDrain();
          this.#arm();
        }
        return;
      }
      this.#arm(); // still ready: the poller calls again after the others had their turn
    } catch (error) {
      this.#letGo(error);
    }
  }

  /** A target that fails for good (its file system is full, or gone) must not stop the container. */
  #letGo(error: unknown): void {
    this.#log.error('output of a process cannot be delivered', { error: messageOf(error) });
    if (!this.#mayDiscard) {
      this.close(); // an input, or an output whose source itself fails
      return;
    }
    this.#mayDiscard = false;
    this.#step.close();
    this.#step = discard(this.#source);
    this.#turn();
  }

  #arm(): void {
    this.#poller.arm(this.#source.fd, 'read', () => this.#turn());
  }

  #settleDrain(): void {
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#source.close();
    this.#step.close();
    this.#settleDrain();
    this.#ended.resolve();
  }
}
