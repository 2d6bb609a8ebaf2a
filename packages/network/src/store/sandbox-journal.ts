/**
 * The copies of sandbox records, in one file to which lines are appended: a change of a sandbox costs one write, where a file of
 * its own would cost a name made and another taken away. A line is `{"id", "record"}`, without a record when the sandbox is gone;
 * the last one about an id counts. The file is written anew at each start, and when it has grown out of proportion.
 */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import { type Logger, writeFileAtomicSync } from '@boxship/base';
import type { SandboxRecord } from '../model.ts';

interface Line {
  readonly id: string;
  readonly record?: SandboxRecord;
}

const mayGrowBytes = 1 << 20;

export class SandboxJournal implements Disposable {
  readonly #path: string;
  readonly #log: Logger;
  #fd = -1;
  #size = 0;
  #limit = 0;

  /** To be opened with {@link rewrite}; until then it can be read. */
  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  save(record: SandboxRecord): void {
    this.#append({ id: record.spec.id, record });
  }

  delete(id: string): void {
    this.#append({ id });
  }

  /** The records that stand. */
  read(): SandboxRecord[] {
    const records = new Map<string, SandboxRecord>();
    for (const text of this.#text().split('\n')) {
      if (text === '') continue;
      try {
        const { id, record } = JSON.parse(text) as Line;
        records.delete(id);
        if (record !== undefined) records.set(id, record);
      } catch (error) {
        this.#log.error('copy of a record cannot be read: the record is lost', { path: this.#path, error });
      }
    }
    return [...records.values()];
  }

  /** From now on it has these records and no others. */
  rewrite(records: readonly SandboxRecord[]): void {
    const text = records.map((record) => lineOf({ id: record.spec.id, record })).join('');
    writeFileAtomicSync(this.#path, text, { mode: 0o600, isDurable: false });
    this[Symbol.dispose]();
    this.#fd = openSync(this.#path, constants.O_WRONLY | constants.O_APPEND);
    this.#size = Buffer.byteLength(text);
    this.#limit = 4 * this.#size + mayGrowBytes;
  }

  #append(line: Line): void {
    const bytes = Buffer.from(lineOf(line));
    for (let offset = 0; offset < bytes.length; ) offset += writeSync(this.#fd, bytes, offset);
    this.#size += bytes.length;
    if (this.#size > this.#limit) this.rewrite(this.read());
  }

  #text(): string {
    try {
      return readFileSync(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

/** The newline is first: one that was cut off, by a crash or a full disk, spoils no other. */
const lineOf = (line: Line): string => `\n${JSON.stringify(line)}`;
