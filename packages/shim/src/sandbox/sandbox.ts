/**
 * A sandbox, as this shim is one: no process holds it, it is the group of containers itself. What a successor must know of it
 * is in `sandbox.json` of the shim's own directory, written before the step that it describes.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, writeFileAtomicSync } from '@boxship/base';
import { bootId } from '@boxship/linux';

/** Nanoseconds as decimal text: they do not fit into a JSON number. */
export interface SandboxRecord {
  readonly version: 1;
  readonly id: string;
  readonly bundle: string;
  readonly netnsPath: string;
  readonly bootId: string;
  readonly createdAt: string;
  readonly isStarted: boolean;
  readonly exitedAt?: string;
}

export type SandboxState = 'created' | 'running' | 'stopped';

const recordName = 'sandbox.json';

export class Sandbox {
  readonly #directory: string;
  readonly #exited = Promise.withResolvers<string>();
  #record: SandboxRecord;

  private constructor(directory: string, record: SandboxRecord) {
    this.#directory = directory;
    this.#record = record;
    if (record.exitedAt !== undefined) this.#exited.resolve(record.exitedAt);
  }

  static create(directory: string, values: Pick<SandboxRecord, 'id' | 'bundle' | 'netnsPath' | 'createdAt'>): Sandbox {
    const sandbox = new Sandbox(directory, { version: 1, ...values, bootId: bootId(), isStarted: false });
    sandbox.#save();
    return sandbox;
  }

  /** What a predecessor left in `directory`; nothing when there was none, or the machine was restarted since. */
  static find(directory: string): Sandbox | undefined {
    let text: string;
    try {
      text = readFileSync(join(directory, recordName), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    const record = JSON.parse(text) as SandboxRecord;
    return record.version === 1 && record.bootId === bootId() ? new Sandbox(directory, record) : undefined;
  }

  get record(): SandboxRecord {
    return this.#record;
  }

  get state(): SandboxState {
    if (this.#record.exitedAt !== undefined) return 'stopped';
    return this.#record.isStarted ? 'running' : 'created';
  }

  /** When it was stopped. */
  get exited(): Promise<string> {
    return this.#exited.promise;
  }

  /** @throws failedPrecondition unless it was just created */
  start(): void {
    if (this.state !== 'created')
      throw new BoxshipError('failedPrecondition', `sandbox "${this.#record.id}" is ${this.state}: it starts once`);
    this.#record = { ...this.#record, isStarted: true };
    this.#save();
  }

  stopped(exitedAt: string): void {
    if (this.state === 'stopped') return;
    this.#record = { ...this.#record, exitedAt };
    this.#save();
    this.#exited.resolve(exitedAt);
  }

  /** The end of it: no successor finds it. */
  remove(): void {
    rmSync(join(this.#directory, recordName), { force: true });
  }

  #save(): void {
    const path = join(this.#directory, recordName);
    writeFileAtomicSync(path, JSON.stringify(this.#record), { mode: 0o600, isDurable: false });
  }
}
