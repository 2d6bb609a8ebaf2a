/** Connects the outputs of one process with what its request names: FIFOs of the client, a file, a log, a program, nobody. */
import { chownSync, closeSync, constants, fstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { BoxshipError, type Logger } from '@boxship/base';
import { makeFifo, openFifo, type Poller } from '@boxship/linux';
import type { StreamName } from '../log/format.ts';
import type { LoggerOptions, OutputTarget } from '../log/logging-uri.ts';
import { openLog } from '../log/open-log.ts';
import { Spool } from '../log/spool.ts';
import { AttachServer } from './attach-server.ts';
import { LogTarget } from './log-step.ts';
import { LoggerProgram } from './logger-program.ts';
import { discard, Pump, type PumpStep } from './pump.ts';
import { FifoSource, type OutputSource, TerminalSource } from './source.ts';
import { CopyStep, SpliceStep, type Target } from './steps.ts';

export interface OutputOptions {
  readonly target: OutputTarget;
  /** Paths of the request. */
  readonly stdout: string;
  readonly stderr: string;
  /** Files of this process in the bundle start with this: FIFOs, spool. */
  readonly prefix: string;
  readonly isAdopted: boolean;
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  readonly containerId: string;
  readonly namespace: string;
  readonly poller: Poller;
  readonly log: Logger;
}

export interface Outputs {
  /** FIFOs that the container writes into; a stream without one is /dev/null. */
  readonly fifos: Partial<Record<StreamName, string>>;
  readonly pumps: readonly Pump[];
  /** To be called when the container has its descriptors, or will never have them. */
  releaseFifos(): void;
  /** Starts pumping a terminal's output. */
  connectTerminal(master: number): void;
  close(): void;
}

/** Opens everything; nothing moves before {@link Pump.start}. */
export async function openOutputs(options: OutputOptions, isTerminal: boolean): Promise<Outputs> {
  const { target, poller, log } = options;
  const fifos: Partial<Record<StreamName, string>> = {};
  const pumps: Pump[] = [];
  const streams = wantedStreams(options, isTerminal);
  const isProgram = target.kind === 'program';
  if (!isTerminal || isProgram)
    for (const stream of isProgram ? (['stdout', 'stderr'] as const) : streams)
      fifos[stream] = makeOutputFifo(options, stream);
  const started =
    target.kind === 'program' && !options.isAdopted ? await startProgram(options, target, fifos) : undefined;
  const logTarget = target.kind === 'logger' ? await openLogTarget(options, target.options) : undefined;
  const addPump = (stream: StreamName, source: OutputSource) => {
    const step = logTarget?.step(stream, source) ?? plainStep(options, stream, source);
    const pump = new Pump(source, step, poller, log, 'discard');
    pumps.push(pump);
    return pump;
  };
  if (!isTerminal && !isProgram)
    for (const stream of streams) addPump(stream, new FifoSource(fifos[stream] ?? '', poller));
  return {
    fifos,
    pumps,
    releaseFifos: () => started?.release(),
    connectTerminal: (master) => addPump('stdout', new TerminalSource(master, poller)).start(),
    close() {
      started?.release();
      for (const pump of pumps) pump.close();
      started?.program.stop();
    },
  };
}

/** Starts a logging program. A FIFO without writers reads as ended, so writers are held until the container has its own. */
async function startProgram(
  options: OutputOptions,
  target: Extract<OutputTarget, { kind: 'program' }>,
  fifos: Partial<Record<StreamName, string>>,
): Promise<{ readonly program: LoggerProgram; release(): void }> {
  const held = Object.values(fifos).map((path) => openFifo(path, { access: 'read-write' }));
  const release = () => {
    for (const fd of held.splice(0)) closeSync(fd);
  };
  try {
    const program = await LoggerProgram.start({
      path: target.path,
      arguments: target.arguments,
      stdoutFifo: fifos.stdout ?? '',
      stderrFifo: fifos.stderr ?? '',
      containerId: options.containerId,
      namespace: options.namespace,
    });
    return { program, release };
  } catch (error) {
    release();
    throw error;
  }
}

function wantedStreams(options: OutputOptions, isTerminal: boolean): StreamName[] {
  if (options.target.kind === 'none') return [];
  if (options.target.kind !== 'fifo') return isTerminal ? ['stdout'] : ['stdout', 'stderr'];
  const names: StreamName[] = [];
  if (options.stdout !== '') names.push('stdout');
  if (options.stderr !== '' && !isTerminal) names.push('stderr');
  return names;
}

function makeOutputFifo(options: OutputOptions, stream: StreamName): string {
  const path = `${options.prefix}.${stream}`;
  makeFifo(path);
  if (options.owner !== undefined) chownSync(path, options.owner.uid, options.owner.gid);
  return path;
}

async function openLogTarget(options: OutputOptions, logger: LoggerOptions): Promise<LogTarget> {
  const { log } = options;
  using undo = new DisposableStack();
  const attach = logger.attachPath === undefined ? undefined : await AttachServer.listen(logger.attachPath, log);
  undo.defer(() => attach?.end());
  const spool = logger.path === undefined ? undefined : new Spool(`${options.prefix}.spool`);
  undo.defer(() => spool?.close());
  const writer = openLog(logger, log, spool);
  undo.move();
  const target = new LogTarget({ writer, spool, attach, log });
  if (options.isAdopted) target.settle();
  return target;
}

function plainStep(options: OutputOptions, stream: StreamName, source: OutputSource): PumpStep {
  const { target, poller } = options;
  const isTerminal = source.kind === 'terminal';
  if (target.kind === 'file') return step(source, openFile(target.path, isTerminal), poller);
  if (target.kind === 'fifo') {
    const path = stream === 'stdout' ? options.stdout : options.stderr;
    return path === '' ? discard(source) : step(source, openClientTarget(path, isTerminal), poller);
  }
  if (target.kind === 'program') {
    // the program sees the end of its input when this descriptor, the only writer, is closed
    const fd = openFifo(`${options.prefix}.stdout`, { access: 'read-write' });
    return new CopyStep(source, { fd, kind: 'pipe', isOwned: true }, poller);
  }
  return discard(source);
}

function step(source: OutputSource, target: Target, poller: Poller): PumpStep {
  return source.kind === 'terminal' ? new CopyStep(source, target, poller) : new SpliceStep(source, target, poller);
}

function openFile(path: string, isAppending: boolean): Target {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const append = isAppending ? constants.O_APPEND : 0;
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | append, 0o644);
  return { fd, kind: 'file', isOwned: true };
}

/** The client's FIFO, held read-write: the client may go and come back without this side noticing. */
function openClientTarget(path: string, isTerminal: boolean): Target {
  const name = path.replace(/^fifo:\/\//, '');
  const fd = openSync(name, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOFOLLOW);
  const stat = fstatSync(fd);
  if (stat.isFIFO()) return { fd, kind: 'pipe', isOwned: true };
  closeSync(fd);
  if (stat.isFile()) return openFile(name, isTerminal);
  throw new BoxshipError('invalidArgument', `${name} is neither a FIFO nor a file: output cannot go there`);
}
