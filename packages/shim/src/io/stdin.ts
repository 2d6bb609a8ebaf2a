/**
 * The way in: the client's FIFO to the container's. The shim keeps a write end of the client's FIFO itself, so that a client
 * that detaches ends nothing; CloseIO gives that end up, and when the client has closed its own too, the container sees the
 * end of its input.
 */
import { chownSync, closeSync, rmSync } from 'node:fs';
import { BoxshipError, type Logger } from '@boxship/base';
import { duplicateFd, makeFifo, openFifo, type Poller, readNow } from '@boxship/linux';
import { Pump } from './pump.ts';
import type { OutputSource } from './source.ts';
import { CopyStep, SpliceStep } from './steps.ts';

class ClientInput implements OutputSource {
  readonly kind = 'pipe';
  readonly fd: number;
  readonly #poller: Poller;
  #writer: number | undefined;

  constructor(path: string, poller: Poller, isHeldOpen: boolean) {
    this.#poller = poller;
    this.fd = openFifo(path, { access: 'read' });
    if (isHeldOpen) this.#writer = openFifo(path, { access: 'write' });
  }

  read(buffer: Buffer): number {
    return readNow(this.fd, buffer);
  }

  expectEnd(): void {
    if (this.#writer !== undefined) closeSync(this.#writer);
    this.#writer = undefined;
  }

  close(): void {
    this.expectEnd();
    this.#poller.remove(this.fd);
    closeSync(this.fd);
  }
}

export interface StdinOptions {
  /** FIFO of the client. */
  readonly clientPath: string;
  /** FIFO of the container, made here. */
  readonly containerPath: string;
  readonly poller: Poller;
  readonly log: Logger;
  /** CloseIO has been asked for already (a successor learns it from the record). */
  readonly isClosed: boolean;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

export interface Stdin {
  /** Read end for the runtime; to be closed by {@link releaseRuntimeEnd}. */
  readonly runtimeFd: number | undefined;
  releaseRuntimeEnd(): void;
  closeInput(): void;
  close(): void;
}

/** Input of a container without terminal. */
export function openStdin(options: StdinOptions): Stdin {
  makeFifo(options.containerPath);
  if (options.owner !== undefined) chownSync(options.containerPath, options.owner.uid, options.owner.gid);
  // the writer needs a reader to be there
  let runtimeFd: number | undefined = openFifo(options.containerPath, { access: 'read', isNonBlocking: false });
  const writer = openFifo(options.containerPath, { access: 'write' });
  const pump = connect(options, writer);
  return {
    get runtimeFd() {
      return runtimeFd;
    },
    releaseRuntimeEnd() {
      if (runtimeFd !== undefined) closeSync(runtimeFd);
      runtimeFd = undefined;
    },
    closeInput: () => pump.source.expectEnd(),
    close() {
      this.releaseRuntimeEnd();
      pump.pump.close();
      rmSync(options.containerPath, { force: true });
    },
  };
}

/** The same for a container that a predecessor made. Undefined when the container no longer reads its input. */
export function adoptStdin(options: StdinOptions): Stdin | undefined {
  let writer: number;
  try {
    writer = openFifo(options.containerPath, { access: 'write' });
  } catch (error) {
    // ENXIO: nobody has the read end; ENOENT: the input had ended before
    if (['ENXIO', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  const { pump, source } = connect(options, writer);
  return {
    runtimeFd: undefined,
    releaseRuntimeEnd() {},
    closeInput: () => source.expectEnd(),
    close() {
      pump.close();
      rmSync(options.containerPath, { force: true });
    },
  };
}

function connect(options: StdinOptions, writer: number): { readonly pump: Pump; readonly source: ClientInput } {
  const source = openClient(options);
  const step = new SpliceStep(source, { fd: writer, kind: 'pipe', isOwned: true }, options.poller);
  const pump = new Pump(source, step, options.poller, options.log, 'close');
  // the name goes with the end of input: a successor must not open the container's end anew
  void pump.ended.then(() => rmSync(options.containerPath, { force: true }));
  pump.start();
  return { pump, source };
}

/** Input of a container with a terminal: keystrokes to the master. The end of input means nothing to a terminal. */
export function openTerminalInput(options: Omit<StdinOptions, 'containerPath' | 'owner'>, master: number): Stdin {
  const source = openClient(options);
  // a descriptor of its own: the master is already watched for output
  const target = { fd: duplicateFd(master), kind: 'terminal', isOwned: true } as const;
  const pump = new Pump(source, new CopyStep(source, target, options.poller), options.poller, options.log, 'close');
  pump.start();
  return {
    runtimeFd: undefined,
    releaseRuntimeEnd() {},
    closeInput: () => source.expectEnd(),
    close: () => pump.close(),
  };
}

function openClient(options: Pick<StdinOptions, 'clientPath' | 'poller' | 'isClosed'>): ClientInput {
  try {
    return new ClientInput(options.clientPath, options.poller, !options.isClosed);
  } catch (error) {
    throw new BoxshipError(
      'invalidArgument',
      `stdin ${options.clientPath} cannot be opened: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}
