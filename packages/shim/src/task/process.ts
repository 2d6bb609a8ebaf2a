/** One process under supervision: the init of a container or an exec. Holds facts and promises; the verbs are in their files. */
import type { ProcessStdio } from '../io/process-stdio.ts';
import type { ExitRecord, ProcessRecord } from './record.ts';
import { checkEdge, type ProcessState } from './state.ts';

export class ManagedProcess {
  readonly record: ProcessRecord;
  stdio: ProcessStdio | undefined;
  /** Handle of the process while it lives. */
  pidfd: number | undefined;
  /** Set as soon as the end is known; {@link exited} follows when output is delivered and the event is queued. */
  exit: ExitRecord | undefined;
  /** The start under way: an exit is not reported before it is settled. */
  starting: Promise<void> = Promise.resolve();
  readonly #exited = Promise.withResolvers<ExitRecord>();
  #state: ProcessState = 'created';

  constructor(record: ProcessRecord) {
    this.record = record;
  }

  get execId(): string {
    return this.record.execId;
  }

  get pid(): number {
    return this.record.pid;
  }

  get state(): ProcessState {
    return this.#state;
  }

  set state(next: ProcessState) {
    checkEdge(this.#state, next);
    this.#state = next;
  }

  /** A successor takes the state over as it finds it. */
  restoreState(state: ProcessState): void {
    this.#state = state;
  }

  get exited(): Promise<ExitRecord> {
    return this.#exited.promise;
  }

  /** Answers everybody who waits. */
  settleExit(exit: ExitRecord): void {
    this.#exited.resolve(exit);
  }
}
