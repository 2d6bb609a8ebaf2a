/** The thread that writes the contents of files, if there is one, as the thread that makes them sees it. */
import { type FromHelper, type HelperLine, type ToHelper, thrownError } from '../worker-protocol.ts';
import { ContentsBatch } from './contents-batch.ts';
import { HandedContents } from './handed-contents.ts';

export class Helper implements Disposable {
  readonly contents: HandedContents;
  readonly #batch = new ContentsBatch();
  readonly #line: HelperLine;

  constructor(line: HelperLine, on: { end: () => void; error: (error: unknown) => void }) {
    this.#line = line;
    this.contents = new HandedContents(this.#batch, line.waiting);
    line.port.on('message', (message: FromHelper) => {
      if (message.kind === 'end') on.end();
      else on.error(thrownError(message.error));
    });
  }

  get isThere(): boolean {
    return Atomics.load(this.#line.waiting, 0) >= 0;
  }

  /** What is to be written of this slot, which is free when that is done. */
  send(slot: number): void {
    this.#post({ kind: 'batch', slot, table: this.#batch.take() });
  }

  /** Nothing comes any more: all that is to be written is written when the answer comes. */
  end(): void {
    this.#post({ kind: 'end' });
  }

  /** What was not sent yet is given away, so that it is closed. */
  [Symbol.dispose](): void {
    const table = this.#batch.take();
    if (table.length > 0) this.#post({ kind: 'batch', slot: undefined, table });
  }

  #post(message: ToHelper): void {
    this.#line.port.postMessage(message);
  }
}
