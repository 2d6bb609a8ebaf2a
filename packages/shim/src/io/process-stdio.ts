/**
 * All input and output of one process, from before its creation until after its end. Everything that a successor needs is
 * either in the request (recorded by the caller) or has a name in the bundle: `<prefix>.stdout`, `.stderr`, `.stdin` are the
 * FIFOs, `<prefix>.console.json` says where the terminal's master is.
 *
 * The container's own descriptors are open read-write (input: read-only), so the death of this process gives it neither
 * SIGPIPE nor end-of-file on output. For input, the end would show if no other writer existed: whoever supervises this
 * process holds `<prefix>.stdin` open as well.
 */
import { closeSync, rmSync } from 'node:fs';
import { atMost, type Logger } from '@boxship/base';
import { duplicateFd, openFifo, setWindowSize, sharedPoller, type WindowSize } from '@boxship/linux';
import type { Stdio } from '@boxship/runc-wrapper';
import { parseOutputTarget } from '../log/logging-uri.ts';
import { CONSOLE_TIMEOUT_MS, listenForConsole, prepareMaster, takeHeldMaster, writeConsoleRecord } from './console.ts';
import { type Outputs, openOutputs } from './outputs.ts';
import { adoptStdin, openStdin, openTerminalInput, type Stdin } from './stdin.ts';

export interface StdioRequest {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly isTerminal: boolean;
}

export interface StdioContext {
  /** Path prefix of this process' files in the bundle. */
  readonly prefix: string;
  /** Names of the console records: for the init `<bundle>/console`. */
  readonly consolePrefix: string;
  readonly socketDirectory: string;
  readonly containerId: string;
  readonly namespace: string;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly isStdinClosed: boolean;
  readonly log: Logger;
}

/** Output must have reached its target this long after the exit, or the exit is reported anyway. */
const DRAIN_MS = 2000;

export class ProcessStdio {
  readonly #request: StdioRequest;
  readonly #context: StdioContext;
  readonly #outputs: Outputs;
  #stdin: Stdin | undefined;
  #isStdinClosed: boolean;
  #master: number | undefined;

  /** Opens the targets and makes the FIFOs of a process about to be created; nothing is delivered yet. */
  static async open(request: StdioRequest, context: StdioContext): Promise<ProcessStdio> {
    const outputs = await connectOutputs(request, context, false);
    const stdio = new ProcessStdio(request, context, outputs);
    try {
      if (request.stdin !== '' && !request.isTerminal) stdio.#stdin = openStdin(stdio.#stdinOptions());
    } catch (error) {
      stdio.close();
      throw error;
    }
    return stdio;
  }

  /**
   * Takes over the stdio of a process that a predecessor made.
   * @param takeMaster gives the master of its terminal, if the predecessor's keeper has it
   */
  static async adopt(
    request: StdioRequest,
    context: StdioContext,
    takeMaster: () => number | undefined,
  ): Promise<ProcessStdio> {
    const outputs = await connectOutputs(request, context, true);
    const stdio = new ProcessStdio(request, context, outputs);
    if (request.isTerminal)
      stdio.#connectMaster(prepareMaster(takeMaster() ?? takeHeldMaster(`${context.consolePrefix}-held.json`)));
    else if (request.stdin !== '') stdio.#stdin = adoptStdin(stdio.#stdinOptions());
    for (const pump of outputs.pumps) pump.start();
    return stdio;
  }

  private constructor(request: StdioRequest, context: StdioContext, outputs: Outputs) {
    this.#request = request;
    this.#context = context;
    this.#outputs = outputs;
    this.#isStdinClosed = context.isStdinClosed;
  }

  #stdinOptions() {
    const { prefix, log, owner } = this.#context;
    return {
      clientPath: this.#request.stdin,
      containerPath: `${prefix}.stdin`,
      poller: sharedPoller(),
      log,
      owner,
      isClosed: this.#isStdinClosed,
    };
  }

  /**
   * Runs the runtime with the descriptors (or the console socket) of this process, and closes on this side what only the
   * runtime needed. Output is delivered from its success on: the words of a runtime that fails are not the container's.
   */
  async withRuntime<T>(run: (stdio: Stdio, consoleSocket: string | undefined) => Promise<T>): Promise<T> {
    if (this.#request.isTerminal) return await this.#withConsole(run);
    const opened: number[] = [];
    const open = (path: string | undefined) => {
      if (path === undefined) return undefined;
      const fd = openFifo(path, { access: 'read-write', isNonBlocking: false });
      opened.push(fd);
      return fd;
    };
    try {
      const { stdout, stderr } = this.#outputs.fifos;
      const result = await run(
        { stdin: this.#stdin?.runtimeFd, stdout: open(stdout), stderr: open(stderr) },
        undefined,
      );
      for (const pump of this.#outputs.pumps) pump.start();
      return result;
    } finally {
      for (const fd of opened) closeSync(fd);
      this.#outputs.releaseFifos();
      this.#stdin?.releaseRuntimeEnd();
    }
  }

  async #withConsole<T>(run: (stdio: Stdio, consoleSocket: string | undefined) => Promise<T>): Promise<T> {
    using receiver = listenForConsole(this.#context.socketDirectory);
    const abort = new AbortController();
    const received = receiver.receive(CONSOLE_TIMEOUT_MS, abort.signal);
    received.catch(() => {}); // the error of the runtime, if any, says more
    let result: T;
    try {
      result = await run({}, receiver.path);
    } catch (error) {
      abort.abort(error);
      throw error;
    }
    this.#connectMaster(prepareMaster(await received));
    this.#outputs.releaseFifos();
    return result;
  }

  #connectMaster(master: number): void {
    this.#master = master;
    this.#outputs.connectTerminal(duplicateFd(master));
    if (this.#request.stdin !== '') this.#stdin = openTerminalInput(this.#stdinOptions(), master);
    writeConsoleRecord(`${this.#context.consolePrefix}.json`, master);
  }

  resize(size: WindowSize): void {
    if (this.#master !== undefined) setWindowSize(this.#master, size);
  }

  /** Gives up the write end that keeps the client's FIFO from ending. */
  closeStdin(): void {
    this.#isStdinClosed = true;
    this.#stdin?.closeInput();
  }

  /** The master of the terminal, while this process has it. */
  get master(): number | undefined {
    return this.#master;
  }

  /**
   * The other ends of the FIFOs, newly opened: a pipe that nobody has open loses what is in it, and an input without writer
   * has ended. Read ends of outputs only: a writer's end would hide their end.
   */
  openFarEnds(): { readonly stream: 'stdin' | 'stdout' | 'stderr'; readonly fd: number }[] {
    const streams = this.#isStdinClosed ? (['stdout', 'stderr'] as const) : (['stdin', 'stdout', 'stderr'] as const);
    return streams.flatMap((stream) => {
      const path = `${this.#context.prefix}.${stream}`;
      const fd = openIfThere(path, stream === 'stdin' ? 'write' : 'read');
      return fd === undefined ? [] : [{ stream, fd }];
    });
  }

  /** After the exit: resolves when the output written until now has been delivered, or after two seconds. */
  async drain(): Promise<void> {
    await atMost(DRAIN_MS, Promise.all(this.#outputs.pumps.map((pump) => pump.drain())));
  }

  /** While the process is stopped: resolves when nothing of its output is in a pipe any more, or after two seconds. */
  async caughtUp(): Promise<void> {
    await atMost(DRAIN_MS, Promise.all(this.#outputs.pumps.map((pump) => pump.caughtUp())));
  }

  /** Resolves when every writer is gone and all output is delivered, or after two seconds. */
  async settled(): Promise<void> {
    await atMost(DRAIN_MS, Promise.all(this.#outputs.pumps.map((pump) => pump.ended)));
  }

  /** Ends everything and removes the files. */
  close(): void {
    this.#stdin?.close();
    this.#outputs.close();
    if (this.#master !== undefined) closeSync(this.#master);
    this.#master = undefined;
    const { prefix, consolePrefix } = this.#context;
    for (const name of ['stdin', 'stdout', 'stderr', 'spool.stdout', 'spool.stderr', 'spool.journal'])
      rmSync(`${prefix}.${name}`, { force: true });
    for (const name of ['.json', '-held.json']) rmSync(`${consolePrefix}${name}`, { force: true });
  }
}

function openIfThere(path: string, access: 'read' | 'write'): number | undefined {
  try {
    return openFifo(path, { access });
  } catch (error) {
    // no such stream, or (write end) nobody reads it any more
    if (['ENOENT', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function connectOutputs(request: StdioRequest, context: StdioContext, isAdopted: boolean): Promise<Outputs> {
  return openOutputs(
    {
      target: parseOutputTarget(request.stdout, request.stderr),
      stdout: request.stdout,
      stderr: request.stderr,
      prefix: context.prefix,
      isAdopted,
      owner: context.owner,
      containerId: context.containerId,
      namespace: context.namespace,
      poller: sharedPoller(),
      log: context.log,
    },
    request.isTerminal,
  );
}
